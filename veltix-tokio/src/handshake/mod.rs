//! The handshake of both sides over a stream. Its deadline is its caller's.

mod client;
mod failure;
mod hello_cache;
mod server;

use bytes::{BufMut, BytesMut};
use tokio::io::AsyncReadExt;
use veltix_core::HandshakeError;
use veltix_core::limits::MAX_HANDSHAKE_LEN;

pub(crate) use client::introduce;
pub(crate) use failure::Failure;
pub(crate) use hello_cache::HelloCache;
pub(crate) use server::{Welcome, welcome};

use crate::transport::Stream;

/// Bytes of the length before each message.
const LENGTH_LEN: usize = 2;

/// Room for the first read: a Python peer's hello, and a bit of what may follow it.
const FIRST_READ: usize = 256;

/// Reads what comes, up to the end of the longest message: what a peer sends beyond it waits where
/// it is until the peer is known.
async fn read_more(stream: &mut Stream, buffer: &mut BytesMut) -> Result<(), Failure> {
    let room = (LENGTH_LEN + MAX_HANDSHAKE_LEN).saturating_sub(buffer.len());
    match stream.reader.read_buf(&mut buffer.limit(room)).await? {
        0 => Err(HandshakeError::Closed.into()),
        _ => Ok(()),
    }
}
