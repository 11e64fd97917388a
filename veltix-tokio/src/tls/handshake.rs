//! The TLS handshake over a stream, before the handshake of the protocol.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustls::Connection;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::timeout;
use veltix_core::limits::TLS_FIRST_BYTE_PART;
use veltix_core::{HandshakeError, ProxyHeader};

use super::stream::{decrypt, encrypted, wrap};
use super::{TlsError, TlsHandshakeError, TlsInfo};
use crate::transport::{Stream, StreamWriter, is_end, write_all};

/// The buffer size for one read: a ClientHello, or a server's answer with a chain of two
/// certificates.
const READ: usize = 4 * 1024;

/// The maximum number of reads that are discarded at the end of a failed handshake: a client's
/// certificate and the messages that follow it in the same flight.
const UNREAD_READS: usize = 16;

/// The answer to a client without TLS, so that it can report why it is refused: the fatal alert
/// `protocol_version`, in a record of TLS 1.2.
const NOT_TLS: &[u8] = &[ALERT, MAJOR, 3, 0, 2, 2, 70];

/// The first bytes of records: their type, and the version that all of them have since SSL 3.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const MAJOR: u8 = 3;

/// The side of the handshake.
pub(super) enum Side {
    Client,
    Server {
        /// The time limit of the whole handshake; a silent client is given up after a part of it.
        limit: Duration,
    },
}

/// Performs the handshake. Afterwards the stream carries plaintext and has its [`TlsInfo`]. If the
/// handshake fails, the peer receives an alert as far as that is possible without waiting, and the
/// stream is unusable.
pub(super) async fn run(
    stream: &mut Stream,
    mut connection: Connection,
    side: Side,
) -> Result<(), TlsHandshakeError> {
    let mut surplus = BytesMut::new();
    match shake_hands(stream, &mut connection, &side, &mut surplus).await {
        Ok(()) => {
            stream.link.tls = Some(Arc::new(TlsInfo::of(&connection)));
            wrap(stream, connection, surplus);
            Ok(())
        }
        Err(failure) => {
            refuse(stream, &mut connection, &side, &failure);
            Err(failure)
        }
    }
}

async fn shake_hands(
    stream: &mut Stream,
    connection: &mut Connection,
    side: &Side,
    incoming: &mut BytesMut,
) -> Result<(), TlsHandshakeError> {
    let mut recognised = false;
    loop {
        let outgoing = encrypted(connection);
        write_all(&mut *stream.writer, &outgoing).await?;
        if !connection.is_handshaking() {
            return Ok(());
        }
        incoming.reserve(READ);
        let is_first = incoming.is_empty() && !recognised;
        let read = stream.reader.read_buf(incoming);
        let read = match *side {
            Side::Server { limit } if is_first => {
                let patience = limit / TLS_FIRST_BYTE_PART;
                let read = timeout(patience, read).await.map_err(|_| TlsError::NoClientHello)?;
                if read.as_ref().map_or_else(is_end, |read| *read == 0) {
                    return Err(TlsHandshakeError::NoByte);
                }
                read
            }
            _ => read.await,
        };
        if read? == 0 {
            return Err(TlsHandshakeError::Closed);
        }
        if !recognised {
            if ProxyHeader::begins(incoming) {
                return Err(TlsHandshakeError::Protocol(HandshakeError::ProxyHeader));
            }
            recognised = is_tls(incoming, side)?;
        }
        if recognised {
            let taken = decrypt(connection, incoming).map_err(TlsError::from)?;
            incoming.advance(taken);
        }
    }
}

/// Returns whether the first bytes are a TLS record, or `false` if there are too few bytes to
/// decide.
fn is_tls(bytes: &[u8], side: &Side) -> Result<bool, TlsError> {
    let starts = match side {
        Side::Server { .. } => bytes[0] == HANDSHAKE,
        // A server may refuse at once.
        Side::Client => matches!(bytes[0], HANDSHAKE | ALERT),
    };
    match bytes.get(1) {
        _ if !starts => Err(TlsError::Plaintext),
        Some(&major) if major != MAJOR => Err(TlsError::Plaintext),
        second => Ok(second.is_some()),
    }
}

/// Sends the reason to the peer, without waiting.
fn refuse(
    stream: &mut Stream,
    connection: &mut Connection,
    side: &Side,
    failure: &TlsHandshakeError,
) {
    let alert = match (failure, side) {
        (
            TlsHandshakeError::Tls(TlsError::Plaintext | TlsError::NoClientHello),
            Side::Server { .. },
        ) => NOT_TLS.to_vec(),
        _ => encrypted(connection),
    };
    if alert.is_empty() {
        return;
    }
    let _ = stream.writer.try_write_vectored(&[IoSlice::new(&alert)]);
    let cx = &mut Context::from_waker(Waker::noop());
    let _ = stream.writer.poll_shutdown(cx);
    // Closing a stream with unread bytes resets it, and the reset may overtake the alert.
    let mut unread = [0; READ];
    for _ in 0..UNREAD_READS {
        let mut buffer = ReadBuf::new(&mut unread);
        match Pin::new(&mut stream.reader).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            _ => break,
        }
    }
}
