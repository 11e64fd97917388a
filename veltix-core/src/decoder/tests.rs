//! Tests of the decoder's results, errors and memory. Tests of attacks are in `crate::hostile`.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::frame::Frame;
use crate::message::RequestId;

fn frame(code: u16, id: u16, body: &[u8]) -> BytesMut {
    let mut buffer = BytesMut::new();
    Frame::new(code, RequestId::new(id), Bytes::copy_from_slice(body)).write_to(&mut buffer);
    buffer
}

/// Passes the chunks to the decoder in turn, and collects the results.
fn feed<T: IntoIterator<Item = Message>>(
    chunks: &[&[u8]],
    decode: impl Fn(&mut FrameDecoder, &mut BytesMut) -> Result<Option<T>, ProtocolError>,
) -> Result<Vec<Message>, ProtocolError> {
    let mut decoder = FrameDecoder::new(1 << 20);
    let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        while let Some(decoded) = decode(&mut decoder, &mut buffer)? {
            messages.extend(decoded);
        }
    }
    decoder.end(&buffer)?;
    Ok(messages)
}

/// Decodes message by message.
fn decode_all(chunks: &[&[u8]]) -> Result<Vec<Message>, ProtocolError> {
    feed(chunks, |decoder, buffer| Ok(decoder.decode(buffer)?.map(|message| [message])))
}

/// Decodes in batches, as a connection does.
fn decode_bursts(chunks: &[&[u8]]) -> Result<Vec<Message>, ProtocolError> {
    feed(chunks, FrameDecoder::decode_batch)
}

#[test]
fn a_burst_is_what_came_whole_up_to_its_limits() {
    let mut buffer = BytesMut::new();
    for id in 0..BATCH_FRAMES as u16 + 1 {
        buffer.extend_from_slice(&frame(200, id, b"x"));
    }
    buffer.extend_from_slice(&frame(200, 1, &[0; BATCH_BYTES]));
    buffer.extend_from_slice(&frame(200, 2, b"next"));
    buffer.extend_from_slice(&frame(200, 3, b"begun")[..18]);
    let mut decoder = FrameDecoder::new(1 << 20);
    let mut sizes = Vec::new();
    while let Some(batch) = decoder.decode_batch(&mut buffer).unwrap() {
        sizes.push(batch.count());
    }
    assert_eq!(sizes, [BATCH_FRAMES, 2, 1], "by frames, by bytes, and what was left");
    assert_eq!(buffer.len(), 18, "a begun frame stays where it is");
}

#[test]
fn what_came_before_a_bad_frame_is_a_burst() {
    let mut buffer = frame(200, 1, b"good");
    let mut bad = frame(200, 2, b"bad");
    bad[15] ^= 1;
    buffer.extend_from_slice(&bad);
    let mut decoder = FrameDecoder::new(1 << 20);
    let batch = decoder.decode_batch(&mut buffer).unwrap().unwrap();
    assert_eq!(batch.map(|message| message.id().value()).collect::<Vec<_>>(), [1]);
    let refused = decoder.decode_batch(&mut buffer);
    assert!(matches!(refused, Err(ProtocolError::ChecksumMismatch { .. })));
}

#[test]
fn bad_bytes_are_told_apart() {
    let good = frame(200, 1, b"body");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(
        decode_all(&[b"HT"]),
        Err(ProtocolError::BadMagic { found: *b"HT" }),
        "two bytes are enough"
    );
    assert!(matches!(decode_all(&[&with(1, b'Y')]), Err(ProtocolError::BadMagic { .. })));
    assert!(matches!(decode_all(&[&with(15, b'B')]), Err(ProtocolError::ChecksumMismatch { .. })));
    assert_eq!(
        decode_all(&[&with(5, 1)]),
        Err(ProtocolError::Oversize { total: 15 + 4 + (1 << 24), limit: 1 << 20 })
    );
    assert_eq!(
        decode_all(&[&good[..17]]),
        Err(ProtocolError::Truncated { received: 17, expected: 19 })
    );
    assert_eq!(decode_all(&[&with(2, 0xff)]).unwrap().len(), 1, "flags are ignored");
}

#[test]
fn the_limit_counts_the_header() {
    let bytes = frame(200, 0, &[0; 85]);
    assert!(FrameDecoder::new(100).decode(&mut bytes.clone()).unwrap().is_some());
    assert_eq!(
        FrameDecoder::new(99).decode(&mut bytes.clone()),
        Err(ProtocolError::Oversize { total: 100, limit: 99 })
    );
}

#[test]
fn a_promised_length_reserves_no_more_than_a_first_step() {
    let mut decoder = FrameDecoder::new(10 << 20);
    let mut buffer = BytesMut::from(&frame(200, 0, &vec![0; 8 << 20])[..16]);
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
    assert!(buffer.capacity() <= 2 * FIRST_GROWTH, "{} bytes", buffer.capacity());
}

#[test]
fn a_large_body_moves_at_most_once_and_memory_follows_what_came() {
    for len in [20_000, 65_521, 99_000, 262_144, 1 << 20, 1_050_000, 6_300_000] {
        let bytes = frame(200, 0, &vec![7; len]);
        let mut decoder = FrameDecoder::new(10 << 20);
        let mut buffer = BytesMut::new();
        let (mut at, mut moved) = (0, 0);
        while at < bytes.len() {
            let room = buffer.capacity() - buffer.len();
            let take = room.max(64).min(bytes.len() - at);
            let before = buffer.as_ptr();
            buffer.extend_from_slice(&bytes[at..at + take]);
            at += take;
            let message = decoder.decode(&mut buffer).unwrap();
            moved += if buffer.as_ptr() == before { 0 } else { buffer.len() };
            assert_eq!(message.is_some(), at == bytes.len());
            assert!(buffer.capacity() <= WORTH_ALL * at + FIRST_GROWTH);
        }
        assert!(moved <= bytes.len() + FIRST_GROWTH, "{moved} bytes were copied of {len}");
    }
}

fn arbitrary_frame() -> impl Strategy<Value = (u16, u16, Vec<u8>)> {
    (any::<u16>(), any::<u16>(), proptest::collection::vec(any::<u8>(), 0..200))
}

proptest! {
    #[test]
    fn frames_come_back_as_they_were(
        frames in proptest::collection::vec(arbitrary_frame(), 1..8),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let mut stream = BytesMut::new();
        for (code, id, body) in &frames {
            stream.extend_from_slice(&frame(*code, *id, body));
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        let messages = decode_all(&chunks).unwrap();
        prop_assert_eq!(&decode_bursts(&chunks).unwrap(), &messages);
        let back: Vec<_> = messages
            .iter()
            .map(|message| (message.code(), message.id().value(), message.body().to_vec()))
            .collect();
        prop_assert_eq!(back, frames);
    }

    #[test]
    fn mutated_bytes_never_panic(
        (code, id, body) in arbitrary_frame(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut stream = frame(code, id, &body);
        for (at, bits) in flips {
            let at = at.index(stream.len());
            stream[at] ^= bits;
        }
        stream.truncate(keep.index(stream.len() + 1));
        prop_assert_eq!(decode_all(&[&stream]), decode_bursts(&[&stream]));
        // The body of a message from mutated bytes fits the stream.
        if let Ok(messages) = decode_all(&[&stream]) {
            for message in messages {
                prop_assert!(message.body().len() <= stream.len());
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(decode_all(&[&bytes]), decode_bursts(&[&bytes]));
    }
}
