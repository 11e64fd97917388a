//! A connection of the generator, which writes the same messages again and again.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use mio::net::TcpStream;
use rustls::Connection;

use super::ended;
use crate::socket::Socket;
use crate::tls;
use crate::wire::{Kind, Wire};

/// The largest plaintext that is encrypted at once.
const MOST_ENCRYPTED: usize = 64 * 1024;

/// Numbered messages in a row, which are written in a circle.
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

    /// Makes a pattern of as many messages as fit into `bytes`, but at least one.
    pub(super) fn fitting(wire: &dyn Wire, kind: Kind, body: usize, bytes: usize) -> Self {
        let message = wire.message(kind, 0, body).len();
        Self::new(wire, kind, body, (bytes / message).max(1))
    }

    /// Makes one message of `times` copies of a pattern and another pattern behind them.
    pub(super) fn round(first: &Self, times: usize, last: &Self) -> Self {
        let bytes = [first.bytes.repeat(times), last.bytes.clone()].concat();
        Self { message: bytes.len(), bytes }
    }

    pub(super) const fn messages(&self) -> usize {
        self.bytes.len() / self.message
    }
}

/// A non-blocking connection.
#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
    /// The position in the pattern.
    at: usize,
    /// The bytes that are still to be written.
    owed: usize,
    /// The bytes of an incomplete answer.
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

    /// Begins another pattern at its start. Nothing of the one before may be left to write or to read.
    pub(super) const fn restart(&mut self) {
        debug_assert!(self.owed == 0 && self.begun == 0);
        self.at = 0;
    }

    /// Adds messages to the bytes that are to be written.
    pub(super) const fn owe(&mut self, pattern: &Pattern, messages: usize) {
        self.owed += messages * pattern.message;
    }

    /// Whether everything is written.
    pub(super) fn is_even(&self) -> bool {
        self.owed == 0 && self.tls.as_ref().is_none_or(|tls| tls.unwritten.is_empty())
    }

    /// Writes until nothing is left or the socket is full. Returns whether the socket is full.
    pub(super) fn flush(&mut self, pattern: &Pattern) -> io::Result<bool> {
        while !self.is_even() {
            if self.write(pattern, usize::MAX)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes one write of at most `most` bytes. Returns whether the socket is full.
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

    /// Reads until the socket is empty. Returns the number of answers of length `answer` that
    /// became complete.
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
                    // Readiness is reported at its edges, and a short read has emptied the socket.
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

/// The state of a connection over TLS.
#[derive(Debug)]
struct Tls {
    connection: Connection,
    /// Ciphertext that the socket has not accepted.
    unwritten: Vec<u8>,
}

impl Tls {
    fn new(mut connection: Connection) -> Self {
        // The caller limits the plaintext that is passed at a time.
        connection.set_buffer_limit(None);
        Self { connection, unwritten: Vec::new() }
    }

    /// Writes the waiting ciphertext. If nothing waits, encrypts some plaintext first. Returns the
    /// bytes of plaintext that were accepted.
    fn write(&mut self, bytes: &[u8], stream: &mut TcpStream) -> io::Result<usize> {
        self.flush(stream)?;
        let most = bytes.len().min(MOST_ENCRYPTED);
        let written = self.connection.writer().write(&bytes[..most])?;
        tls::encrypted(&mut self.connection, &mut self.unwritten);
        match self.flush(stream) {
            // The plaintext was accepted. Its ciphertext is written first the next time.
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

    /// Returns the bytes of plaintext in this ciphertext.
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
