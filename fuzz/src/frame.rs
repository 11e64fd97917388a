//! Target `frame`: bytes that are decoded as a stream, either unchanged or after a repair.

use bytes::{Bytes, BytesMut};
use veltix_core::{Frame, FrameDecoder, Message, RequestId};

use super::reference::{self, Parsed};
use super::{LIMITS, reference::crc32};

/// If set in the first byte, magics and checksums are corrected, which no mutation would achieve.
const REPAIRED: u8 = 0x80;

/// If set too, lengths are reduced to the available bytes.
const FITTED: u8 = 0x40;

/// Decodes the bytes after the first, one message at a time and in frame batches, and compares the
/// result with the reference decoder. The decoded messages encode to the same bytes. The first byte
/// selects the repairs.
pub fn frame(data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else { return };
    let limit = LIMITS[usize::from(mode) % LIMITS.len()];
    let mut stream = rest.to_vec();
    if mode & REPAIRED != 0 {
        repair(&mut stream, mode & FITTED != 0);
    }
    let (frames, end) = reference::read(&stream, limit);

    let mut decoder = FrameDecoder::new(limit);
    let mut buffer = BytesMut::from(&stream[..]);
    let begun_with = buffer.capacity();
    for frame in &frames {
        let message = decoder.decode(&mut buffer).expect("it is good").expect("it is whole");
        check(&message, frame);
    }
    match decoder.decode(&mut buffer) {
        Ok(None) => assert_eq!(decoder.end(&buffer), end),
        refused => assert_eq!(refused.map(drop), end),
    }
    let flagged = frames.iter().filter(|frame| frame.flags != 0).count();
    assert_eq!(decoder.flagged(), flagged as u64);
    assert!(buffer.capacity() <= begun_with.max(room(stream.len())), "{}", buffer.capacity());

    let mut decoder = FrameDecoder::new(limit);
    let mut buffer = BytesMut::from(&stream[..]);
    let mut whole = frames.iter();
    let batches = loop {
        match decoder.decode_batch(&mut buffer) {
            Ok(Some(batch)) => {
                assert!(!batch.is_empty());
                batch.zip(&mut whole).for_each(|(message, frame)| check(&message, frame));
            }
            Ok(None) => break decoder.end(&buffer),
            Err(error) => break Err(error),
        }
    };
    assert_eq!((whole.len(), batches), (0, end));
    assert_eq!(decoder.flagged(), flagged as u64);
}

/// Returns the maximum capacity of a buffer after `received` bytes: six times as much, because a
/// frame of which a sixth has arrived gets room for all of it, plus a first step.
pub(super) const fn room(received: usize) -> usize {
    6 * received + 2 * 16 * 1024
}

/// Checks that a message equals its frame, and encodes to the same bytes except the flags.
#[track_caller]
pub(super) fn check(message: &Message, frame: &Parsed<'_>) {
    assert_eq!((message.code(), message.id().value()), (frame.code, frame.id));
    assert_eq!(message.body(), frame.body);
    let mut sent = BytesMut::new();
    Frame::from(message.clone()).write_to(&mut sent);
    assert_eq!(sent[..2], frame.bytes[..2]);
    assert_eq!(sent[2], 0, "no flag is ever sent");
    assert_eq!(sent[3..], frame.bytes[3..]);
    // A received checksum is passed on. Computing it again gives the same.
    let body = Bytes::copy_from_slice(frame.body);
    let anew = Frame::new(frame.code, RequestId::new(frame.id), body);
    assert_eq!(anew.header()[..], sent[..15]);
}

/// Corrects the magics and checksums of a stream, and its lengths if they are to fit.
fn repair(stream: &mut [u8], fitted: bool) {
    let mut rest = stream;
    while rest.len() >= 15 {
        let (header, behind) = rest.split_at_mut(15);
        header[..2].copy_from_slice(b"VX");
        let mut length = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize;
        if fitted {
            length %= behind.len() + 1;
            header[5..9].copy_from_slice(&(length as u32).to_be_bytes());
        }
        let Some((body, next)) = behind.split_at_mut_checked(length) else { return };
        header[9..13].copy_from_slice(&crc32(body).to_be_bytes());
        rest = next;
    }
}
