//! The client's side of the handshake.

use std::sync::Arc;

use bytes::BytesMut;
use veltix_core::{ClientHandshake, ClientStep, HandshakeError, Hello, Token};

use super::{FIRST_READ, Failure, read_more};
use crate::router::DeclaredTypes;
use crate::transport::{Stream, write_all};

/// Performs the client's side, and announces the largest message that it accepts. Returns the server's hello, and the bytes of its first frames that
/// were read along with it.
pub(crate) async fn introduce(
    stream: &mut Stream,
    token: Option<Token>,
    types: Option<&DeclaredTypes>,
    max_message_size: usize,
) -> Result<(Hello, BytesMut), Failure> {
    let ours = types.map(|types| Arc::clone(types.fingerprints()));
    let mut handshake =
        ClientHandshake::with_token(token).types(ours).max_message_size(max_message_size);
    let mut buffer = BytesMut::with_capacity(FIRST_READ);
    loop {
        match handshake.receive(&mut buffer)? {
            ClientStep::Wait => {
                let is_first = buffer.is_empty() && handshake.server().is_none();
                match read_more(stream, &mut buffer).await {
                    Err(Failure::Protocol(HandshakeError::Closed)) if is_first => {
                        return Err(HandshakeError::NoHello.into());
                    }
                    read => read?,
                }
            }
            ClientStep::Send(bytes) => {
                // The client checks first: the server could report a difference only as text.
                if let (Some(types), Some(server)) = (types, handshake.server()) {
                    types.judge(server, stream.addr())?;
                }
                write_all(&mut *stream.writer, &bytes).await?;
            }
            ClientStep::Done(hello) => return Ok((hello, buffer)),
        }
    }
}
