//! The handshake of both sides over a stream. The caller sets its deadline.

mod client;
mod failure;
mod hello_cache;
mod proxy;
mod server;

use bytes::{BufMut, BytesMut};
use tokio::io::AsyncReadExt;
use veltix_core::HandshakeError;
use veltix_core::limits::MAX_HANDSHAKE_LEN;

pub(crate) use client::introduce;
pub(crate) use failure::Failure;
pub(crate) use hello_cache::HelloCache;
pub(crate) use proxy::take_header;
pub(crate) use server::{Welcome, welcome};

use crate::transport::Stream;

/// The number of bytes of the length in front of each message.
const LENGTH_LEN: usize = 2;

/// The room for the first read: a Python peer's hello, and some bytes that may follow it.
const FIRST_READ: usize = 256;

/// Reads available bytes, up to the end of the longest message. Further bytes of the peer stay in
/// the socket until the handshake has ended.
async fn read_more(stream: &mut Stream, buffer: &mut BytesMut) -> Result<(), Failure> {
    let room = (LENGTH_LEN + MAX_HANDSHAKE_LEN).saturating_sub(buffer.len());
    match stream.reader.read_buf(&mut buffer.limit(room)).await? {
        0 => Err(HandshakeError::Closed.into()),
        _ => Ok(()),
    }
}
