//! Target `frame`: bytes that are a stream as they are, or are made one.

use bytes::{Bytes, BytesMut};
use veltix_core::{Frame, FrameDecoder, Message, RequestId};

use super::reference::{self, Parsed};
use super::{LIMITS, reference::crc32};

/// Set in the first byte, magics and checksums are put right, which no mutation would find.
const REPAIRED: u8 = 0x80;

/// Set too, lengths are cut to what there is.
const FITTED: u8 = 0x40;

/// The first byte says what to do with the others: they are decoded one by one and in bursts, and what
/// comes of it is what the reference decoder says. What was decoded is encoded to the same bytes.
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
    let bursts = loop {
        match decoder.decode_batch(&mut buffer) {
            Ok(Some(burst)) => {
                assert!(!burst.is_empty());
                burst.zip(&mut whole).for_each(|(message, frame)| check(&message, frame));
            }
            Ok(None) => break decoder.end(&buffer),
            Err(error) => break Err(error),
        }
    };
    assert_eq!((whole.len(), bursts), (0, end));
    assert_eq!(decoder.flagged(), flagged as u64);
}

/// The most that a buffer may have room for when so many bytes have come: six times as much, since
/// a frame of which a sixth is there gets room for all of it, and a first step.
pub(super) const fn room(received: usize) -> usize {
    6 * received + 2 * 16 * 1024
}

/// That a message is what stood in its frame, and becomes the same bytes but for the flags.
#[track_caller]
pub(super) fn check(message: &Message, frame: &Parsed<'_>) {
    assert_eq!((message.code(), message.id().value()), (frame.code, frame.id));
    assert_eq!(message.body(), frame.body);
    let mut sent = BytesMut::new();
    Frame::from(message.clone()).write_to(&mut sent);
    assert_eq!(sent[..2], frame.bytes[..2]);
    assert_eq!(sent[2], 0, "no flag is ever sent");
    assert_eq!(sent[3..], frame.bytes[3..]);
    // A checksum that was received is passed on. Computed anew it is the same.
    let body = Bytes::copy_from_slice(frame.body);
    let anew = Frame::new(frame.code, RequestId::new(frame.id), body);
    assert_eq!(anew.header()[..], sent[..15]);
}

/// Puts the magics and checksums of a stream right, and its lengths if they are to fit.
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
