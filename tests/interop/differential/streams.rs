//! Random streams, good and bad.

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;
use veltix_core::{Frame, RequestId};

use super::KNOWN;

/// Python's own bounds, which random streams seldom reach.
const DEFAULTS: (u32, u32) = (10 << 20, 20 << 20);

/// A stream in the parts in which it comes, and the bounds of its reader.
pub(super) struct Stream {
    pub(super) max_message_size: u32,
    pub(super) max_buffer_size: u32,
    pub(super) chunks: Vec<Bytes>,
}

impl Stream {
    /// Good frames, up to the end or to the middle of one.
    pub(super) fn valid(rng: &mut Rng) -> Self {
        let mut bytes = frames(rng);
        if rng.u8(..) < 64 {
            bytes.truncate(rng.usize(..=bytes.len()));
        }
        Self { max_message_size: DEFAULTS.0, max_buffer_size: DEFAULTS.1, chunks: cut(bytes, rng) }
    }

    /// Such a stream, damaged in one way or several, for a reader that may have narrow bounds.
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

/// Up to eight frames, of which one in a hundred is large.
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
            // A body that holds what looks like a frame.
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

/// The same bytes with one thing wrong, or several.
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
        // Some bytes too many, too few, or twice; or the end is missing.
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

/// The bytes in the parts in which they come.
fn cut(bytes: BytesMut, rng: &mut Rng) -> Vec<Bytes> {
    let mut rest = bytes.freeze();
    let most = *rng.choice([&3, &20, &200, &usize::MAX]).expect("there are some");
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        // A large rest in very small parts would take long and say nothing new.
        let most = if chunks.len() < 300 { most } else { usize::MAX };
        chunks.push(rest.split_to(rng.usize(1..=most.min(rest.len()))));
    }
    chunks
}

/// The streams as `decode.py` reads them.
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

/// The checksum that a frame with this body has.
pub(super) fn crc32(body: &[u8]) -> u32 {
    let frame = Frame::new(200, RequestId::new(0), Bytes::copy_from_slice(body));
    let [.., a, b, c, d, _, _] = *frame.header();
    u32::from_be_bytes([a, b, c, d])
}
