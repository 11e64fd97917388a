//! A socket over TLS. Received bytes are decrypted into the caller's buffer, and a write is
//! encrypted and written at once.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use rustls::{Connection, ServerConnection};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use crate::tls;

/// The largest ciphertext of one read.
const CIPHERTEXT: usize = 64 * 1024;

/// The plaintext that is encrypted at once. It is small enough to stay in the cache.
const MOST_ENCRYPTED: usize = 64 * 1024;

thread_local! {
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; CIPHERTEXT]);
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The keys of a connection, which both directions need.
pub(super) struct Keys(Mutex<Connection>);

/// Runs the handshake on a socket that has no other owner yet.
pub(super) async fn handshake(
    stream: &TcpStream,
    mut connection: ServerConnection,
) -> io::Result<Keys> {
    let mut incoming = [0; 4096];
    while connection.is_handshaking() || connection.wants_write() {
        if connection.wants_write() {
            stream.writable().await?;
            let mut outgoing = Vec::new();
            connection.write_tls(&mut outgoing)?;
            let mut rest = &outgoing[..];
            while !rest.is_empty() {
                match stream.try_write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        stream.writable().await?;
                    }
                    Err(error) => return Err(error),
                }
            }
        } else {
            stream.readable().await?;
            match stream.try_read(&mut incoming) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                // A peer sends nothing behind its handshake until it has our answer.
                Ok(read) => {
                    connection.read_tls(&mut &incoming[..read])?;
                    connection.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    connection.set_buffer_limit(None);
    Ok(Keys(Mutex::new(connection.into())))
}

impl Keys {
    fn with<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Encrypts all of the bytes and passes the ciphertext to `write`.
    pub(super) fn encrypt(&self, bytes: &[u8], write: impl FnOnce(&[u8])) {
        OUTGOING.with_borrow_mut(|outgoing| {
            outgoing.clear();
            self.with(|connection| {
                for part in bytes.chunks(MOST_ENCRYPTED) {
                    // The limit of the buffer is off, so this accepts everything.
                    let _ = connection.writer().write_all(part);
                    tls::encrypted(connection, outgoing);
                }
            });
            write(outgoing);
        });
    }
}

/// Received bytes that are not decrypted, because there was no room.
#[derive(Default)]
pub(super) struct Unread(Vec<u8>);

impl Unread {
    /// Reads plaintext. An empty read is the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        keys: &Keys,
        beneath: &mut OwnedReadHalf,
        buffer: &mut ReadBuf<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let unread = std::mem::take(&mut self.0);
        self.take(keys, &unread, buffer)?;
        while buffer.filled().is_empty() {
            let over = INCOMING.with_borrow_mut(|incoming| {
                let mut ciphertext = ReadBuf::new(incoming);
                ready!(Pin::new(&mut *beneath).poll_read(cx, &mut ciphertext))?;
                self.take(keys, ciphertext.filled(), buffer)?;
                Poll::Ready(Ok::<_, io::Error>(ciphertext.filled().is_empty()))
            });
            if ready!(over)? {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take(&mut self, keys: &Keys, ciphertext: &[u8], into: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut taken = 0;
        keys.with(|connection| {
            loop {
                while into.remaining() > 0 {
                    match connection.reader().read(into.initialize_unfilled()) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => into.advance(read),
                    }
                }
                if taken == ciphertext.len() || into.remaining() == 0 {
                    break;
                }
                taken += tls::decrypt(connection, &ciphertext[taken..])?;
            }
            self.0.extend_from_slice(&ciphertext[taken..]);
            Ok(())
        })
    }
}
