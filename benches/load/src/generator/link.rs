//! A connection of the generator: it writes the same messages again and again.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use mio::net::TcpStream;
use rustls::Connection;

use super::ended;
use crate::socket::Socket;
use crate::tls;
use crate::wire::{Kind, Wire};

/// Plaintext that is encrypted at once, at most.
const MOST_ENCRYPTED: usize = 64 * 1024;

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
    tls: Option<Box<Tls>>,
    /// The place in the pattern.
    at: usize,
    /// Bytes that are to be written.
    owed: usize,
    /// Bytes of an answer that is not whole yet.
    begun: usize,
}

impl Link {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let (stream, tls) = match socket {
            Socket::Plain(stream) => (stream, None),
            Socket::Tls(stream) => {
                let (connection, stream) = stream.into_parts();
                (stream, Some(Box::new(Tls::new(connection.into()))))
            }
        };
        stream.set_nonblocking(true)?;
        Ok(Self { stream: TcpStream::from_std(stream), tls, at: 0, owed: 0, begun: 0 })
    }

    pub(super) const fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Has so many more messages to write.
    pub(super) const fn owe(&mut self, pattern: &Pattern, messages: usize) {
        self.owed += messages * pattern.message;
    }

    /// Whether everything was written.
    pub(super) fn is_even(&self) -> bool {
        self.owed == 0 && self.tls.as_ref().is_none_or(|tls| tls.unwritten.is_empty())
    }

    /// Writes until nothing is owed or the socket is full; says whether the latter.
    pub(super) fn flush(&mut self, pattern: &Pattern) -> io::Result<bool> {
        while !self.is_even() {
            if self.write(pattern, usize::MAX)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes one write of at most so many bytes; says whether the socket is full.
    pub(super) fn write(&mut self, pattern: &Pattern, most: usize) -> io::Result<bool> {
        let end = pattern.bytes.len().min(self.at + self.owed.min(most));
        let bytes = &pattern.bytes[self.at..end];
        let written = match &mut self.tls {
            None => self.stream.write(bytes),
            Some(tls) => tls.write(bytes, &mut self.stream),
        };
        match written {
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
                    received += match &mut self.tls {
                        None => read,
                        Some(tls) => tls.read(&scratch[..read])?,
                    };
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

/// What a connection over TLS needs.
#[derive(Debug)]
struct Tls {
    connection: Connection,
    /// Ciphertext that the socket has not taken.
    unwritten: Vec<u8>,
}

impl Tls {
    fn new(mut connection: Connection) -> Self {
        // It is bounded by what is given to it at a time.
        connection.set_buffer_limit(None);
        Self { connection, unwritten: Vec::new() }
    }

    /// Writes what waits, and if that is out, encrypts some more; says how much of it.
    fn write(&mut self, bytes: &[u8], stream: &mut TcpStream) -> io::Result<usize> {
        self.flush(stream)?;
        let most = bytes.len().min(MOST_ENCRYPTED);
        let written = self.connection.writer().write(&bytes[..most])?;
        tls::encrypted(&mut self.connection, &mut self.unwritten);
        match self.flush(stream) {
            // It has been taken, and goes out first of all the next time.
            Err(error) if error.kind() == ErrorKind::WouldBlock && written > 0 => Ok(written),
            result => result.map(|()| written),
        }
    }

    fn flush(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let mut written = 0;
        while written < self.unwritten.len() {
            match stream.write(&self.unwritten[written..]) {
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.unwritten.drain(..written);
                    return Err(error);
                }
            }
        }
        self.unwritten.clear();
        Ok(())
    }

    /// How much plaintext there is in so much ciphertext.
    fn read(&mut self, ciphertext: &[u8]) -> io::Result<usize> {
        let (mut taken, mut plaintext) = (0, 0);
        while taken < ciphertext.len() {
            taken += tls::decrypt(&mut self.connection, &ciphertext[taken..])?;
            let mut reader = self.connection.reader();
            while let Ok(chunk @ [_, ..]) = reader.fill_buf() {
                let length = chunk.len();
                plaintext += length;
                reader.consume(length);
            }
        }
        Ok(plaintext)
    }
}
