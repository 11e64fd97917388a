//! A socket over TLS: what is read is decrypted into the caller's buffer, and a write is encrypted and
//! written at once.

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

/// Ciphertext that one read takes at most.
const CIPHERTEXT: usize = 64 * 1024;

/// Plaintext that is encrypted at once, so that it is still in the cache.
const MOST_ENCRYPTED: usize = 64 * 1024;

thread_local! {
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; CIPHERTEXT]);
    static OUTGOING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The keys of a connection, which both directions need.
pub(super) struct Keys(Mutex<Connection>);

/// The handshake, on a socket that nobody else has yet.
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
                // What a peer sends behind its handshake waits for our answer to it.
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

    /// Encrypts all of it and hands that to whoever writes it.
    pub(super) fn encrypt(&self, bytes: &[u8], write: impl FnOnce(&[u8])) {
        OUTGOING.with_borrow_mut(|outgoing| {
            outgoing.clear();
            self.with(|connection| {
                for part in bytes.chunks(MOST_ENCRYPTED) {
                    // There is no limit to what it takes.
                    let _ = connection.writer().write_all(part);
                    tls::encrypted(connection, outgoing);
                }
            });
            write(outgoing);
        });
    }
}

/// What was read and not decrypted, for want of room.
#[derive(Default)]
pub(super) struct Unread(Vec<u8>);

impl Unread {
    /// Reads plaintext; nothing is the end.
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
