//! The halves of a stream over TLS.
//!
//! Both need the same keys' state, rustls' connection, and they are used by different tasks: the
//! reading half by the connection's own, the writing half by whoever flushes its outbox. So that is
//! behind a lock, under which bytes are only turned into others: ciphertext is read before it is
//! taken, and written after it is released. Each half holds its own end of the stream beneath.
//!
//! What is buffered is bounded: of what comes, one record that is not whole and what one read took in
//! beyond what was asked for; of what goes, one call's ciphertext, some 64 KiB at most, and the next
//! call takes nothing before that is out.

use std::cell::Cell;
use std::io::{self, BufRead, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::Connection;
use tokio::io::{AsyncRead, ReadBuf};
use veltix_core::limits::READ_BUFFER;

use super::TlsError;
use crate::sync::Mutex;
use crate::transport::{Stream, StreamWriter};

/// Plaintext that one write encrypts at most: four records.
const LARGEST_WRITE: usize = 64 * 1024;

/// The same at first, and after the stream beneath was full; it doubles with each write that was taken
/// whole. What is encrypted counts as written only when all of it is out, so that a peer which takes
/// little at a time would seem to take nothing for long, and be closed as stalled.
const FIRST_WRITE: usize = 4 * 1024;

/// Buffers for ciphertext that have grown beyond this are not kept.
const KEPT: usize = 2 * LARGEST_WRITE;

thread_local! {
    /// Where ciphertext is read into, and where it is put together to be written: a thread's, taken
    /// out while they are used, so that an idle connection holds none.
    static INCOMING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static OUTGOING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

type Shared = Arc<Mutex<Connection>>;

/// Puts a connection whose handshake is over between a stream and its user. The surplus is ciphertext
/// that was read along.
pub(super) fn wrap(stream: &mut Stream, connection: Connection, surplus: BytesMut) {
    let shared = Arc::new(Mutex::new(connection));
    let nobody = || Box::new(tokio::io::empty()) as Box<dyn AsyncRead + Send + Unpin>;
    let beneath = std::mem::replace(&mut stream.reader, nobody());
    stream.reader = Box::new(TlsReader {
        connection: Arc::clone(&shared),
        beneath,
        unread: surplus,
        end: None,
    });
    let nobody: Box<dyn StreamWriter> = Box::new(Nobody);
    let beneath = std::mem::replace(&mut stream.writer, nobody);
    stream.writer = Box::new(TlsWriter {
        connection: shared,
        beneath,
        unwritten: BytesMut::new(),
        most: FIRST_WRITE,
        withheld: false,
        said_goodbye: false,
    });
}

/// Stands where a half is taken out for a moment.
struct Nobody;

impl StreamWriter for Nobody {
    fn try_write_vectored(&mut self, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn poll_write_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// All ciphertext that the connection has to send.
pub(super) fn encrypted(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    take_encrypted(connection, &mut bytes);
    bytes
}

fn take_encrypted(connection: &mut Connection, into: &mut Vec<u8>) {
    while connection.wants_write() {
        // A `Vec` takes everything.
        if !matches!(connection.write_tls(into), Ok(1..)) {
            break;
        }
    }
}

/// Has ciphertext decrypted, up to the first plaintext; says how much of it was taken.
pub(super) fn decrypt(connection: &mut Connection, bytes: &[u8]) -> Result<usize, rustls::Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match connection.read_tls(&mut rest) {
            // Behind the peer's goodbye there is nothing.
            Ok(0) => return Ok(bytes.len()),
            Ok(_) => {}
            // A record or message longer than there may be.
            Err(error) => return Err(rustls::Error::General(error.to_string())),
        }
        if connection.process_new_packets()?.plaintext_bytes_to_read() > 0 {
            break;
        }
    }
    Ok(bytes.len() - rest.len())
}

/// The reading half.
struct TlsReader {
    connection: Shared,
    beneath: Box<dyn AsyncRead + Send + Unpin>,
    /// Ciphertext that was read and not decrypted, for want of room.
    unread: BytesMut,
    /// How the stream ended; what was decrypted before is read first.
    end: Option<Result<(), TlsError>>,
}

impl TlsReader {
    /// Decrypts into the buffer, as far as there is room; says how much of the ciphertext was taken.
    fn take(&mut self, ciphertext: &[u8], buffer: &mut ReadBuf<'_>) -> usize {
        let mut connection = self.connection.lock();
        let mut taken = 0;
        loop {
            match take_plaintext(&mut connection, buffer) {
                Plaintext::Consumed if buffer.remaining() == 0 => return taken,
                Plaintext::Consumed if self.end.is_some() => return ciphertext.len(),
                Plaintext::Consumed => {}
                Plaintext::Ended => {
                    self.end = Some(Ok(()));
                    return ciphertext.len();
                }
            }
            if taken == ciphertext.len() {
                return taken;
            }
            match decrypt(&mut connection, &ciphertext[taken..]) {
                Ok(more) => taken += more,
                // What was genuine before it is still taken.
                Err(error) => self.end = Some(Err(error.into())),
            }
        }
    }

    /// Reads ciphertext beneath, and takes it.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut incoming = INCOMING.take();
        incoming.resize(READ_BUFFER, 0);
        // Plaintext is shorter than its ciphertext, so little is left over.
        let most = buffer.remaining().clamp(READ_BUFFER / 16, READ_BUFFER);
        let mut read = ReadBuf::new(&mut incoming[..most]);
        let poll = Pin::new(&mut *self.beneath).poll_read(cx, &mut read);
        if matches!(poll, Poll::Ready(Ok(()))) {
            let ciphertext = read.filled();
            if ciphertext.is_empty() {
                self.end = Some(Err(TlsError::Truncated));
            } else {
                let taken = self.take(ciphertext, buffer);
                self.unread.extend_from_slice(&ciphertext[taken..]);
            }
        }
        INCOMING.set(incoming);
        poll
    }
}

enum Plaintext {
    /// What there was, or what there was room for.
    Consumed,
    /// The peer has said goodbye, and there is nothing more.
    Ended,
}

fn take_plaintext(connection: &mut Connection, buffer: &mut ReadBuf<'_>) -> Plaintext {
    while buffer.remaining() > 0 {
        let mut reader = connection.reader();
        let taken = match reader.fill_buf() {
            Ok([]) => return Plaintext::Ended,
            Ok(chunk) => {
                let taken = chunk.len().min(buffer.remaining());
                buffer.put_slice(&chunk[..taken]);
                taken
            }
            // There is nothing at the moment.
            Err(_) => break,
        };
        reader.consume(taken);
    }
    Plaintext::Consumed
}

impl AsyncRead for TlsReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        // What there is already, in plaintext or not.
        let mut unread = std::mem::take(&mut this.unread);
        let taken = this.take(&unread, buffer);
        if taken < unread.len() {
            unread.advance(taken);
            this.unread = unread;
        }
        loop {
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            match &this.end {
                Some(Ok(())) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(error.clone().into())),
                None => ready!(this.poll_take(cx, buffer))?,
            }
        }
    }
}

/// The writing half.
///
/// Whoever writes must not think that all is out while ciphertext still waits here, since nobody
/// would come back for it. So the last byte of what was encrypted is *withheld* as long as that is
/// so: it is reported as not taken. The writer then waits, as for any full stream, and offers it
/// again, first of all, when it is taken without being encrypted twice.
struct TlsWriter {
    connection: Shared,
    beneath: Box<dyn StreamWriter>,
    /// Ciphertext that the stream beneath has not taken.
    unwritten: BytesMut,
    /// Plaintext that the next write encrypts at most.
    most: usize,
    /// A byte is encrypted, and was reported as not taken.
    withheld: bool,
    /// Nothing more may be encrypted.
    said_goodbye: bool,
}

impl TlsWriter {
    /// Writes the ciphertext that waits.
    fn try_flush(&mut self) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            match self.beneath.try_write_vectored(&[IoSlice::new(&self.unwritten)])? {
                0 => return Err(io::ErrorKind::WouldBlock.into()),
                written => self.unwritten.advance(written),
            }
        }
        // It may be large, and the connection idle from now on.
        self.unwritten = BytesMut::new();
        Ok(())
    }

    /// Encrypts, and writes what the stream beneath takes at once. Gives how much plaintext that was.
    fn encrypt(&mut self, slices: &[IoSlice<'_>], outgoing: &mut Vec<u8>) -> io::Result<usize> {
        let encrypted = {
            let mut connection = self.connection.lock();
            connection.set_buffer_limit(Some(self.most));
            let encrypted = connection.writer().write_vectored(slices)?;
            take_encrypted(&mut connection, outgoing);
            encrypted
        };
        let written = match self.beneath.try_write_vectored(&[IoSlice::new(outgoing)]) {
            Ok(written) => written,
            Err(error) if is_for_later(&error) => 0,
            Err(error) => return Err(error),
        };
        if written < outgoing.len() {
            self.unwritten.extend_from_slice(&outgoing[written..]);
            self.most = FIRST_WRITE;
        } else if encrypted == self.most {
            self.most = LARGEST_WRITE.min(2 * self.most);
        }
        Ok(encrypted)
    }

    /// Puts this side's goodbye behind what waits.
    fn say_goodbye(&mut self) {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            let mut connection = self.connection.lock();
            connection.send_close_notify();
            self.unwritten.extend_from_slice(&encrypted(&mut connection));
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl StreamWriter for TlsWriter {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_flush()?;
        if std::mem::take(&mut self.withheld) {
            // The first byte of what is offered, which is out by now.
            return Ok(1);
        }
        let mut outgoing = OUTGOING.take();
        outgoing.clear();
        let encrypted = self.encrypt(slices, &mut outgoing);
        if outgoing.capacity() <= KEPT {
            OUTGOING.set(outgoing);
        }
        let encrypted = encrypted?;
        if self.unwritten.is_empty() || encrypted == 0 {
            return Ok(encrypted);
        }
        self.withheld = true;
        match encrypted - 1 {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            reported => Ok(reported),
        }
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.beneath.poll_write_ready(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_goodbye();
        while let Err(error) = self.try_flush() {
            if !is_for_later(&error) {
                return Poll::Ready(Err(error));
            }
            ready!(self.beneath.poll_write_ready(cx))?;
        }
        self.beneath.poll_shutdown(cx)
    }
}

impl Drop for TlsWriter {
    /// Says goodbye, or the alert that a failed connection has for its peer, as far as that is
    /// possible without waiting. Behind half a record nothing is said: the peer is to see that it
    /// was cut.
    fn drop(&mut self) {
        if self.unwritten.is_empty() && !self.said_goodbye {
            self.say_goodbye();
            let _ = self.try_flush();
        }
    }
}
