//! Tests of the decoder and the handshake against input that an attacker may send. A test is named
//! after its row in the project's list of threats: `r04` is frames inside of frames.

mod bits;
mod cost;
mod embedded;
mod handshakes;
mod hellos;
pub(crate) mod looked;
mod memory;
mod seed;
mod splits;

use bytes::{Bytes, BytesMut};

use crate::{Frame, FrameDecoder, Message, ProtocolError, RequestId};

fn frame(code: u16, id: u16, body: &[u8]) -> BytesMut {
    let mut buffer = BytesMut::new();
    Frame::new(code, RequestId::new(id), Bytes::copy_from_slice(body)).write_to(&mut buffer);
    buffer
}

/// Reads a stream in these parts as a connection does, and returns its messages and its end.
/// Reading stops at the first error.
fn read<'a>(
    limit: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Message>, Result<(), ProtocolError>) {
    let mut decoder = FrameDecoder::new(limit);
    let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match decoder.decode_batch(&mut buffer) {
                Ok(Some(burst)) => messages.extend(burst),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    let end = decoder.end(&buffer);
    (messages, end)
}

/// Cuts the stream at these places.
fn cut(stream: &[u8], mut places: Vec<usize>) -> Vec<&[u8]> {
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect()
}
