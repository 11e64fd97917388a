//! The server's side of the handshake.

use std::sync::Arc;

use bytes::BytesMut;
use veltix_core::{Hello, ServerHandshake};

use super::{FIRST_READ, Failure, HelloCache, read_more};
use crate::admission::{Slot, Slots};
use crate::identity::{Authenticate, AuthenticateError, Established, HandshakeInfo};
use crate::router::Routes;
use crate::transport::{Stream, write_all};

/// The result of a server's handshake: the peer's hello, its identity if the server authenticates,
/// the bytes of its first frames that were read along, and the slot that it took.
pub(crate) struct Welcome {
    pub(crate) hello: Arc<Hello>,
    pub(crate) identity: Option<Established>,
    pub(crate) surplus: BytesMut,
    pub(crate) slot: Slot,
}

/// Performs the server's side. A refused peer sees the end of the stream, as with Python servers.
pub(crate) async fn welcome(
    stream: &mut Stream,
    slots: &Slots,
    hello_cache: &HelloCache,
    routes: &Routes,
) -> Result<Welcome, Failure> {
    let types = routes.types();
    let ip = stream.addr().ip();
    if let Err(full) = slots.check(ip) {
        // The server became full during the TLS handshake, before which a client cannot receive the
        // refusal.
        write_all(&mut *stream.writer, &ServerHandshake::full()).await?;
        return Err(Failure::Full(full));
    }
    let written = write_all(&mut *stream.writer, &hello_cache.ours()).await;
    if let Err(error) = written {
        return Err(Box::pin(failed_write(stream, error.into())).await);
    }
    if fault!("byte_before_ack") {
        write_all(&mut *stream.writer, b"V").await?;
    }
    let mut handshake = ServerHandshake::new();
    let mut buffer = BytesMut::with_capacity(FIRST_READ);
    let ours = types.map(|types| &**types.fingerprints());
    let (hello, token) = loop {
        match handshake.receive_with(&mut buffer, |json| hello_cache.read(json, ours))? {
            Some(hello) => break hello,
            None => match read_more(stream, &mut buffer).await {
                Err(end) if buffer.is_empty() => return Err(unless_silent(stream, end)),
                read => read?,
            },
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
            // Another peer took the last slot while this handshake was pending.
            write_all(&mut *stream.writer, &ServerHandshake::full()).await?;
            return Err(Failure::Full(full));
        }
    };
    write_all(&mut *stream.writer, &ServerHandshake::accepted()).await?;
    Ok(Welcome { hello, identity, surplus: buffer, slot })
}

/// Returns the failure of a peer that does not accept the server's hello. A read tells whether the peer has
/// sent anything.
async fn failed_write(stream: &mut Stream, failure: Failure) -> Failure {
    match read_more(stream, &mut BytesMut::with_capacity(1)).await {
        Ok(()) => failure,
        Err(end) => unless_silent(stream, end),
    }
}

/// Returns the failure of a read before the first byte of a hello. If the peer has ended the stream and has
/// sent nothing at all, it is a health check.
fn unless_silent(stream: &Stream, failure: Failure) -> Failure {
    if failure.is_end() && !stream.is_over_tls() { Failure::NoByte } else { failure }
}

/// Runs the application's `authenticate` for the peer. Only this peer waits for it.
async fn identify(
    stream: &mut Stream,
    hook: &dyn Authenticate,
    info: HandshakeInfo,
) -> Result<Option<Established>, Failure> {
    let verdict = hook.ask(info);
    if fault!("listed_before_authenticated") {
        tokio::spawn(verdict);
        return Ok(None);
    }
    let verdict = verdict.await;
    if let Err(AuthenticateError::Refused(refuse)) = &verdict
        && refuse.is_disclosed()
    {
        write_all(&mut *stream.writer, &ServerHandshake::refused(refuse.reason())).await?;
    }
    Ok(Some(verdict?))
}

#[cfg(test)]
mod tests {
    use veltix_core::limits::MAX_HANDSHAKE_LEN;

    use super::super::LENGTH_LEN;
    use super::*;
    use crate::router::Router;
    use crate::transport::memory_pair;

    /// The server holds at most the longest message of an unknown peer, even if more bytes arrive
    /// with it.
    #[tokio::test]
    async fn r02_no_more_is_read_than_the_longest_message() {
        let hello = br#"{"pv": "1.0"}"#;
        let padding = vec![b' '; MAX_HANDSHAKE_LEN - hello.len()];
        let length = (MAX_HANDSHAKE_LEN as u16).to_be_bytes();
        let bytes = [&length[..], hello, &padding, &[b'x'; 10_000]].concat();
        let (mut server, mut client) = memory_pair(64 * 1024);
        write_all(&mut *client.writer, &bytes).await.expect("there is room");
        let (slots, hello_cache) = (Slots::new(1, None), HelloCache::new(ServerHandshake::hello()));
        let routes = Routes::new(Router::new(), None);
        let welcome =
            welcome(&mut server, &slots, &hello_cache, &routes).await.expect("it is a hello");
        assert!(welcome.surplus.is_empty(), "the rest is left where it was");
        assert!(welcome.surplus.capacity() <= LENGTH_LEN + MAX_HANDSHAKE_LEN);
    }
}
