//! A connection of the generator: it writes the same messages again and again.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::ended;
use crate::wire::{Kind, Wire};

/// Messages one behind the other, numbered, to be written in a circle.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    bytes: Vec<u8>,
    message: usize,
}

impl Pattern {
    pub(super) fn new(wire: &dyn Wire, kind: Kind, body: usize, messages: usize) -> Self {
        let bytes: Vec<_> =
            (0..messages as u64).flat_map(|seq| wire.message(kind, seq, body)).collect();
        let message = bytes.len() / messages;
        Self { bytes, message }
    }

    /// As many messages as fit so many bytes, but at least one.
    pub(super) fn fitting(wire: &dyn Wire, kind: Kind, body: usize, bytes: usize) -> Self {
        let message = wire.message(kind, 0, body).len();
        Self::new(wire, kind, body, (bytes / message).max(1))
    }

    /// A pattern so many times, and another behind it: as one message.
    pub(super) fn round(first: &Self, times: usize, last: &Self) -> Self {
        let bytes = [first.bytes.repeat(times), last.bytes.clone()].concat();
        Self { message: bytes.len(), bytes }
    }

    pub(super) const fn messages(&self) -> usize {
        self.bytes.len() / self.message
    }
}

/// A connection that does not wait.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    /// The place in the pattern.
    at: usize,
    /// Bytes that are to be written.
    owed: usize,
    /// Bytes of an answer that is not whole yet.
    begun: usize,
}

impl Link {
    pub(super) fn new(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream: TcpStream::from_std(stream), at: 0, owed: 0, begun: 0 })
    }

    pub(super) const fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Has so many more messages to write.
    pub(super) const fn owe(&mut self, pattern: &Pattern, messages: usize) {
        self.owed += messages * pattern.message;
    }

    /// Whether everything was written.
    pub(super) const fn is_even(&self) -> bool {
        self.owed == 0
    }

    /// Writes until nothing is owed or the socket is full; says whether the latter.
    pub(super) fn flush(&mut self, pattern: &Pattern) -> io::Result<bool> {
        while self.owed > 0 {
            if self.write(pattern, usize::MAX)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes one write of at most so many bytes; says whether the socket is full.
    pub(super) fn write(&mut self, pattern: &Pattern, most: usize) -> io::Result<bool> {
        let end = pattern.bytes.len().min(self.at + self.owed.min(most));
        match self.stream.write(&pattern.bytes[self.at..end]) {
            Ok(written) => {
                self.owed -= written;
                self.at = (self.at + written) % pattern.bytes.len();
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads what is there; says how many answers of this length are whole now that were not.
    pub(super) fn receive(&mut self, scratch: &mut [u8], answer: usize) -> io::Result<usize> {
        let mut received = self.begun;
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(ended()),
                Ok(read) => {
                    received += read;
                    // Readiness is told at its edges, and a short read has met the end of it.
                    if read < scratch.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.begun = received % answer;
        Ok(received / answer)
    }
}
