//! R5: flipped bits in bodies and in headers.

use std::iter;

use fastrand::Rng;

use super::seed::seed;
use super::*;
use crate::limits::HEADER_LEN;

const LIMIT: usize = 1 << 16;

#[test]
fn r05_a_million_damaged_bodies_are_refused() {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let mut decoder = FrameDecoder::new(LIMIT);
    // Small bodies are more likely in practice and take less time. No body is over 8 KiB.
    let mut frames: Vec<_> = iter::repeat_with(|| {
        let body: Vec<u8> = (0..1_usize << rng.u8(..=13)).map(|_| rng.u8(..)).collect();
        frame(200, 1, &body)
    })
    .take(200)
    .collect();
    for number in 0..1_000_000 {
        let at = number % frames.len();
        let bits = 8 * (frames[at].len() - HEADER_LEN);
        let many = rng.usize(1..4);
        let flips: Vec<_> = iter::repeat_with(|| rng.usize(..bits)).take(many).collect();
        flip(&mut frames[at], &flips);
        let distinct =
            flips.iter().filter(|flip| flips.iter().filter(|other| other == flip).count() % 2 == 1);
        if distinct.count() > 0 {
            let refused = decoder.decode(&mut frames[at]);
            let refused = matches!(refused, Err(ProtocolError::ChecksumMismatch { .. }));
            assert!(refused, "{flips:?} of {bits} bits, seed {seed}");
        }
        flip(&mut frames[at], &flips);
    }
    for mut frame in frames {
        assert!(decoder.decode(&mut frame).unwrap().is_some(), "the bits are back");
    }
}

fn flip(frame: &mut BytesMut, bits: &[usize]) {
    for bit in bits {
        frame[HEADER_LEN + bit / 8] ^= 1 << (bit % 8);
    }
}

/// Returns the effect that PROTOCOL.md describes for one flipped bit of a header.
fn expected(
    bit: usize,
    body: &[u8],
    behind: usize,
) -> (Vec<(u16, u16)>, Result<(), ProtocolError>) {
    let (code, id, length) = (200, 9, body.len() as u32);
    let mask = 1_u32 << (7 - bit % 8);
    // Returns the value of the bit in a field that ends before this byte.
    let value = |end: usize| u64::from(mask) << (8 * (end - 1 - bit / 8));
    let checksum = crate::frame::checksum(body);
    let good = |code, id| (vec![(code, id), (201, 10)], Ok(()));
    let closes = |error| (vec![], Err(error));
    match bit / 8 {
        at @ 0..2 => {
            let mut found = *b"VX";
            found[at] ^= mask as u8;
            closes(ProtocolError::BadMagic { found })
        }
        2 => good(code, id),
        3..5 => good(code ^ value(5) as u16, id),
        5..9 => {
            let length = u64::from(length) ^ value(9);
            let total = HEADER_LEN as u64 + length;
            let received = HEADER_LEN + body.len() + behind;
            if total > LIMIT as u64 {
                closes(ProtocolError::Oversize { total, limit: LIMIT })
            } else if total > received as u64 {
                closes(ProtocolError::Truncated { received, expected: total })
            } else {
                let next = frame(201, 10, b"next");
                let bytes = [body, &next].concat();
                let computed = crate::frame::checksum(&bytes[..length as usize]);
                closes(ProtocolError::ChecksumMismatch { announced: checksum, computed })
            }
        }
        9..13 => {
            let announced = checksum ^ value(13) as u32;
            closes(ProtocolError::ChecksumMismatch { announced, computed: checksum })
        }
        _ => good(code, id ^ value(15) as u16),
    }
}

#[test]
fn r05_each_bit_of_a_header_has_its_outcome() {
    let body = b"five bytes and some more";
    let good = frame(200, 9, body);
    let next = frame(201, 10, b"next");
    for bit in 0..8 * HEADER_LEN {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (7 - bit % 8);
        let (messages, end) = read(LIMIT, [&bytes[..], &next[..]]);
        let messages: Vec<_> =
            messages.iter().map(|message| (message.code(), message.id().value())).collect();
        assert_eq!((messages, end), expected(bit, body, next.len()), "bit {bit}");
    }
}

#[test]
fn r05_a_flag_is_counted_and_nothing_else() {
    for bit in 0..8 {
        let mut bytes = frame(200, 9, b"body");
        bytes[2] ^= 1 << bit;
        let mut decoder = FrameDecoder::new(LIMIT);
        assert!(decoder.decode(&mut bytes).unwrap().is_some());
        assert_eq!(decoder.flagged(), 1, "bit {bit}");
    }
}
