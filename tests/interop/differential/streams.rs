//! Random streams, valid and damaged.

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;
use veltix_core::{Frame, RequestId};

use super::KNOWN;

/// Python's own limits, which random streams rarely reach.
const DEFAULTS: (u32, u32) = (10 << 20, 20 << 20);

/// A stream in the chunks in which it arrives, and the limits of its reader.
pub(super) struct Stream {
    pub(super) max_message_size: u32,
    pub(super) max_buffer_size: u32,
    pub(super) chunks: Vec<Bytes>,
}

impl Stream {
    /// Returns valid frames; the stream ends after a frame or within one.
    pub(super) fn valid(rng: &mut Rng) -> Self {
        let mut bytes = frames(rng);
        if rng.u8(..) < 64 {
            bytes.truncate(rng.usize(..=bytes.len()));
        }
        Self { max_message_size: DEFAULTS.0, max_buffer_size: DEFAULTS.1, chunks: cut(bytes, rng) }
    }

    /// Returns such a stream, damaged in one or several ways, for a reader that may have low
    /// limits.
    pub(super) fn invalid(rng: &mut Rng) -> Self {
        let mut bytes = frames(rng);
        for _ in 0..rng.u8(1..4) {
            bytes = damaged(bytes, rng);
        }
        let max_message_size = *rng.choice([&50, &300, &DEFAULTS.0]).expect("there are some");
        let max_buffer_size = if rng.u8(..) < 32 { rng.u32(100..1000) } else { DEFAULTS.1 };
        Self { max_message_size, max_buffer_size, chunks: cut(bytes, rng) }
    }
}

/// Returns up to eight frames, of which one in a hundred is large.
fn frames(rng: &mut Rng) -> BytesMut {
    let mut bytes = BytesMut::new();
    for _ in 0..rng.usize(1..9) {
        let code = if rng.u8(..) < 16 { rng.u16(..) } else { KNOWN[rng.usize(..KNOWN.len())] };
        let length = match rng.u8(..100) {
            0 => rng.usize(..50_000),
            1..20 => 0,
            _ => rng.usize(..200),
        };
        let mut body: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
        if rng.u8(..) < 32 {
            // A body that contains bytes that look like a frame.
            let inner = Frame::new(200, RequestId::new(rng.u16(..)), body.into());
            let mut bytes = BytesMut::from(&b"VX"[..rng.usize(..3)]);
            inner.write_to(&mut bytes);
            body = bytes.to_vec();
        }
        let begin = bytes.len();
        Frame::new(code, RequestId::new(rng.u16(..)), body.into()).write_to(&mut bytes);
        if rng.u8(..) < 16 {
            bytes[begin + 2] = rng.u8(..);
        }
    }
    bytes
}

/// Returns the same bytes with one or several errors.
fn damaged(mut bytes: BytesMut, rng: &mut Rng) -> BytesMut {
    if bytes.is_empty() {
        return bytes;
    }
    let at = rng.usize(..bytes.len());
    let few: Vec<u8> =
        (0..rng.usize(1..20)).map(|_| *rng.choice(b"VX\0\x01\x0f\xff").expect("some")).collect();
    match rng.u8(..6) {
        0 => bytes[at] ^= 1 << rng.u8(..8),
        1 => bytes[at] = rng.u8(..),
        // Some bytes are added, removed or repeated; or the end is missing.
        2 => {
            let rest = bytes.split_off(at);
            bytes.extend_from_slice(&few);
            bytes.unsplit(rest);
        }
        3 => {
            let rest = bytes.split_off(at);
            bytes.extend_from_slice(rest.get(few.len()..).unwrap_or_default());
        }
        4 => {
            let rest = bytes.split_off(at);
            bytes.extend_from_slice(&rest[..few.len().min(rest.len())]);
            bytes.unsplit(rest);
        }
        _ => bytes.truncate(at),
    }
    bytes
}

/// Splits the bytes into the chunks in which they arrive.
fn cut(bytes: BytesMut, rng: &mut Rng) -> Vec<Bytes> {
    let mut rest = bytes.freeze();
    let most = *rng.choice([&3, &20, &200, &usize::MAX]).expect("there are some");
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        // Splitting a large rest into very small chunks would take long without new cases.
        let most = if chunks.len() < 300 { most } else { usize::MAX };
        chunks.push(rest.split_to(rng.usize(1..=most.min(rest.len()))));
    }
    chunks
}

/// Encodes the streams in the format of `decode.py`.
pub(super) fn encoded(streams: &[Stream]) -> Bytes {
    let mut bytes = BytesMut::new();
    for stream in streams {
        bytes.put_u32(stream.max_message_size);
        bytes.put_u32(stream.max_buffer_size);
        bytes.put_u32(stream.chunks.len() as u32);
        for chunk in &stream.chunks {
            bytes.put_u32(chunk.len() as u32);
            bytes.put_slice(chunk);
        }
    }
    bytes.freeze()
}

/// Returns the checksum of a frame with this body.
pub(super) fn crc32(body: &[u8]) -> u32 {
    let frame = Frame::new(200, RequestId::new(0), Bytes::copy_from_slice(body));
    let [.., a, b, c, d, _, _] = *frame.header();
    u32::from_be_bytes([a, b, c, d])
}
