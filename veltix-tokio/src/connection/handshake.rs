//! The handshake of both sides over a stream. Its deadline is its caller's.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use veltix_core::limits::MAX_HANDSHAKE_LEN;
use veltix_core::{ClientHandshake, ClientStep, HandshakeError, Hello, ServerHandshake, Token};

use crate::admission::{Full, Slot, Slots};
use crate::hellos::Hellos;
use crate::identity::{Authenticate, Established, HandshakeInfo, Refuse};
use crate::planted::planted;
use crate::router::{DeclaredTypes, Routes};
use crate::tls::TlsError;
use crate::transport::{Stream, StreamWriter};

/// Bytes of the length before each message.
const LENGTH_LEN: usize = 2;

/// Room for the first read: a Python peer's hello, and a bit of what may follow it.
const FIRST_READ: usize = 256;

/// Why a handshake failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Protocol(#[from] HandshakeError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the stream failed")]
    Io(#[source] io::Error),
    #[error("the server is full")]
    Full(Full),
    /// The application does not let the peer in.
    #[error("the peer is refused: {}", .0.reason())]
    Refused(Refuse),
    #[error("`authenticate` panicked: {0}")]
    Panicked(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // A TLS client's own handshake is over before the server has judged its certificate.
        match TlsError::of(&error) {
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Io(error),
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Io(error) => error,
            Failure::Tls(error) => error.into(),
            Failure::Protocol(HandshakeError::Closed) => io::ErrorKind::UnexpectedEof.into(),
            other => Self::other(other),
        }
    }
}

/// What a server knows of a peer after the handshake: what it said, who it is if anybody was asked,
/// the bytes of its first frames that came along, and the slot that it took.
pub(crate) struct Welcome {
    pub(crate) hello: Arc<Hello>,
    pub(crate) identity: Option<Established>,
    pub(crate) surplus: BytesMut,
    pub(crate) slot: Slot,
}

/// The server's side. A peer that is refused sees the end of the stream, as with Python servers.
pub(crate) async fn welcome(
    stream: &mut Stream,
    slots: &Slots,
    hellos: &Hellos,
    routes: &Routes,
) -> Result<Welcome, Failure> {
    let types = routes.types();
    let ip = stream.addr().ip();
    if let Err(full) = slots.check(ip) {
        // It became so during the handshake of TLS, before which a client cannot be told.
        write_all(&mut *stream.writer, &ServerHandshake::full()).await?;
        return Err(Failure::Full(full));
    }
    let hello = types.map_or_else(ServerHandshake::hello, DeclaredTypes::hello);
    write_all(&mut *stream.writer, &hello).await?;
    if planted!("byte_before_ack") {
        write_all(&mut *stream.writer, b"V").await?;
    }
    let mut handshake = ServerHandshake::new();
    let mut buffer = BytesMut::with_capacity(FIRST_READ);
    let ours = types.map(|types| &**types.fingerprints());
    let (hello, token) = loop {
        match handshake.receive_with(&mut buffer, |json| hellos.read(json, ours))? {
            Some(hello) => break hello,
            None => read_more(stream, &mut buffer).await?,
        }
    };
    if let Some(types) = types
        && let Err(differ) = types.judge(&hello, stream.addr())
    {
        let reason = format!("types differ under the message codes {:?}", hello.differing_types());
        write_all(&mut *stream.writer, &ServerHandshake::refused(&reason)).await?;
        return Err(differ.into());
    }
    let identity = match routes.authenticate() {
        Some(hook) => {
            let info = HandshakeInfo::new(&stream.link, Arc::clone(&hello), token);
            identify(stream, hook, info).await?
        }
        None => None,
    };
    let slot = match slots.take(ip) {
        Ok(slot) => slot,
        Err(full) => {
            // The last slot went to another while this handshake was pending.
            write_all(&mut *stream.writer, &ServerHandshake::full()).await?;
            return Err(Failure::Full(full));
        }
    };
    write_all(&mut *stream.writer, &ServerHandshake::accepted()).await?;
    Ok(Welcome { hello, identity, surplus: buffer, slot })
}

/// Asks the application who this is. Nobody waits for it but the peer itself.
async fn identify(
    stream: &mut Stream,
    hook: &dyn Authenticate,
    info: HandshakeInfo,
) -> Result<Option<Established>, Failure> {
    let verdict = hook.ask(info);
    if planted!("listed_before_authenticated") {
        tokio::spawn(verdict);
        return Ok(None);
    }
    let verdict = verdict.await;
    if let Err(Failure::Refused(refuse)) = &verdict
        && refuse.is_told()
    {
        write_all(&mut *stream.writer, &ServerHandshake::refused(refuse.reason())).await?;
    }
    verdict.map(Some)
}

/// The client's side: what the server said, and the bytes of its first frames that came along.
pub(crate) async fn introduce(
    stream: &mut Stream,
    token: Option<Token>,
    types: Option<&DeclaredTypes>,
) -> Result<(Hello, BytesMut), Failure> {
    let ours = types.map(|types| Arc::clone(types.fingerprints()));
    let mut handshake = ClientHandshake::with_token(token).types(ours);
    let mut buffer = BytesMut::with_capacity(FIRST_READ);
    loop {
        match handshake.receive(&mut buffer)? {
            ClientStep::Wait => read_more(stream, &mut buffer).await?,
            ClientStep::Send(bytes) => {
                // Before the server judges ours, and could only say so in words.
                if let (Some(types), Some(server)) = (types, handshake.server()) {
                    types.judge(server, stream.addr())?;
                }
                write_all(&mut *stream.writer, &bytes).await?;
            }
            ClientStep::Done(hello) => return Ok((hello, buffer)),
        }
    }
}

/// Reads what comes, up to the end of the longest message: what a peer sends beyond it waits where
/// it is until the peer is known.
async fn read_more(stream: &mut Stream, buffer: &mut BytesMut) -> Result<(), Failure> {
    let room = (LENGTH_LEN + MAX_HANDSHAKE_LEN).saturating_sub(buffer.len());
    match stream.reader.read_buf(&mut buffer.limit(room)).await? {
        0 => Err(HandshakeError::Closed.into()),
        _ => Ok(()),
    }
}

/// Writes all of it, waiting for room.
pub(crate) async fn write_all(writer: &mut dyn StreamWriter, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.try_write_vectored(&[IoSlice::new(bytes)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| writer.poll_write_ready(cx)).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Router;
    use crate::transport::memory_pair;

    /// The longest message is all that is held of who is not known yet, whatever came with it.
    #[tokio::test]
    async fn r02_no_more_is_read_than_the_longest_message() {
        let hello = br#"{"pv": "1.0"}"#;
        let padding = vec![b' '; MAX_HANDSHAKE_LEN - hello.len()];
        let length = (MAX_HANDSHAKE_LEN as u16).to_be_bytes();
        let bytes = [&length[..], hello, &padding, &[b'x'; 10_000]].concat();
        let (mut server, mut client) = memory_pair(64 * 1024);
        write_all(&mut *client.writer, &bytes).await.expect("there is room");
        let (slots, hellos) = (Slots::new(1, None), Hellos::default());
        let routes = Routes::new(Router::new());
        let welcome = welcome(&mut server, &slots, &hellos, &routes).await.expect("it is a hello");
        assert!(welcome.surplus.is_empty(), "the rest is left where it was");
        assert!(welcome.surplus.capacity() <= LENGTH_LEN + MAX_HANDSHAKE_LEN);
    }
}
