//! The halves of a stream over TLS.
//!
//! Both halves need the state of the same keys, which is rustls' connection, and different tasks
//! use them: the connection's own task uses the reading half, and the flusher of its outbox uses
//! the writing half. So that state is behind a lock. Under the lock bytes are only encrypted or
//! decrypted: ciphertext is read before the lock is taken, and written after it is released. Each
//! half holds its own end of the underlying stream.
//!
//! The buffers are bounded. Incoming: one incomplete record, and the bytes that one read received
//! beyond the requested number. Outgoing: the ciphertext of one call, about 64 KiB at most; the
//! next call takes no bytes before that is written.

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

/// The maximum number of bytes of plaintext that one write encrypts: four records.
const LARGEST_WRITE: usize = 64 * 1024;

/// The initial maximum, also after the underlying stream was full. It doubles with each write that
/// was taken completely. Encrypted bytes count as written only when all of them are out. With a
/// larger maximum a peer that takes few bytes at a time would seem to take none for a long time,
/// and would be closed as stalled.
const FIRST_WRITE: usize = 4 * 1024;

/// Buffers for ciphertext with a larger capacity are not kept.
const KEPT: usize = 2 * LARGEST_WRITE;

thread_local! {
    /// The buffers for reading ciphertext and for assembling ciphertext to be written. They belong
    /// to the thread and are taken out while in use, so that an idle connection holds none.
    static INCOMING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static OUTGOING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

type Shared = Arc<Mutex<Connection>>;

/// Puts a connection with a completed handshake between a stream and its user. `surplus` is
/// ciphertext that was read with the handshake.
pub(super) fn wrap(stream: &mut Stream, connection: Connection, surplus: BytesMut) {
    let shared = Arc::new(Mutex::new(connection));
    let placeholder = || Box::new(tokio::io::empty()) as Box<dyn AsyncRead + Send + Unpin>;
    let beneath = std::mem::replace(&mut stream.reader, placeholder());
    stream.reader = Box::new(TlsReader {
        connection: Arc::clone(&shared),
        beneath,
        unread: surplus,
        end: None,
    });
    let placeholder: Box<dyn StreamWriter> = Box::new(Placeholder);
    let beneath = std::mem::replace(&mut stream.writer, placeholder);
    stream.writer = Box::new(TlsWriter {
        connection: shared,
        beneath,
        unwritten: BytesMut::new(),
        most: FIRST_WRITE,
        withheld: false,
        close_notify_queued: false,
    });
}

/// A placeholder for a half that is taken out for a moment.
struct Placeholder;

impl StreamWriter for Placeholder {
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

/// Returns all ciphertext that the connection has to send.
pub(super) fn encrypted(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    take_encrypted(connection, &mut bytes);
    bytes
}

fn take_encrypted(connection: &mut Connection, into: &mut Vec<u8>) {
    while connection.wants_write() {
        // A `Vec` takes all bytes.
        if !matches!(connection.write_tls(into), Ok(1..)) {
            break;
        }
    }
}

/// Decrypts ciphertext, up to the first plaintext. Returns the number of bytes that were consumed.
pub(super) fn decrypt(connection: &mut Connection, bytes: &[u8]) -> Result<usize, rustls::Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match connection.read_tls(&mut rest) {
            // No bytes count after the peer's `close_notify`.
            Ok(0) => return Ok(bytes.len()),
            Ok(_) => {}
            // A record or message is longer than the limit.
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
    /// Ciphertext that was read and not decrypted, for lack of room.
    unread: BytesMut,
    /// The end of the stream. Bytes that were decrypted before it are read first.
    end: Option<Result<(), TlsError>>,
}

impl TlsReader {
    /// Decrypts into the buffer, as far as there is room. Returns the number of consumed bytes of
    /// ciphertext.
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
                // Bytes that were genuine before the error are still taken.
                Err(error) => self.end = Some(Err(error.into())),
            }
        }
    }

    /// Reads ciphertext from the underlying stream, and decrypts it.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut incoming = INCOMING.take();
        incoming.resize(READ_BUFFER, 0);
        // Plaintext is shorter than its ciphertext, so only few bytes are left over.
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
    /// All available plaintext was taken, or the buffer is full.
    Consumed,
    /// The peer has sent `close_notify`, and no plaintext is left.
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
            // No plaintext is available at the moment.
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
        // First the bytes that are already there, as plaintext or ciphertext.
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
/// The writer must not conclude that all bytes are out while ciphertext still waits here, since no
/// task would come back for it. So the last byte of the encrypted plaintext is *withheld* during
/// that time: it is reported as not taken. The writer then waits, as for any full stream, and
/// offers that byte again as the first one. It is then taken without being encrypted twice.
struct TlsWriter {
    connection: Shared,
    beneath: Box<dyn StreamWriter>,
    /// Ciphertext that the underlying stream has not taken.
    unwritten: BytesMut,
    /// The maximum number of bytes of plaintext that the next write encrypts.
    most: usize,
    /// True if a byte is encrypted but was reported as not taken.
    withheld: bool,
    /// True after `close_notify`: no more bytes may be encrypted.
    close_notify_queued: bool,
}

impl TlsWriter {
    /// Writes the waiting ciphertext.
    fn try_flush(&mut self) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            match self.beneath.try_write_vectored(&[IoSlice::new(&self.unwritten)])? {
                0 => return Err(io::ErrorKind::WouldBlock.into()),
                written => self.unwritten.advance(written),
            }
        }
        // The buffer may be large, and the connection may be idle from now on.
        self.unwritten = BytesMut::new();
        Ok(())
    }

    /// Encrypts plaintext, and writes the ciphertext that the underlying stream takes at once.
    /// Returns the number of encrypted bytes of plaintext.
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

    /// Appends this side's `close_notify` to the waiting ciphertext.
    fn queue_close_notify(&mut self) {
        if !std::mem::replace(&mut self.close_notify_queued, true) {
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
            // This is the withheld byte, the first one that is offered. It is out by now.
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
        self.queue_close_notify();
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
    /// Sends `close_notify`, or the alert of a failed connection, as far as that is possible
    /// without waiting. After an incomplete record nothing is sent: the peer must see that the
    /// connection was cut.
    fn drop(&mut self) {
        if self.unwritten.is_empty() && !self.close_notify_queued {
            self.queue_close_notify();
            let _ = self.try_flush();
        }
    }
}
