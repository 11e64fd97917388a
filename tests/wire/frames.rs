//! Frames in both directions, and streams of frames: complete, split, damaged.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use veltix_core::limits::MAX_MESSAGE_SIZE;
use veltix_core::{Frame, FrameDecoder, Message, ProtocolError, RequestId};

use super::{Hex, check_listed, section};

#[derive(Deserialize)]
struct FrameVector {
    name: String,
    code: u16,
    flags: u8,
    request_id: u16,
    crc32: Hex,
    payload_len: usize,
    payload: Hex,
    header: Hex,
}

fn check_frame(vector: &FrameVector) {
    let FrameVector { name, code, flags, header, .. } = vector;
    let (code, id) = (*code, RequestId::new(vector.request_id));
    let body: Bytes = vector.payload.iter().copied().cycle().take(vector.payload_len).collect();
    let bytes = [header, &body[..]].concat();
    assert_eq!(&header[9..13], &vector.crc32[..], "{name}");
    // Our encoder never sets a flag, so these vectors are only decoded.
    if *flags == 0 {
        let mut encoded = BytesMut::new();
        Frame::new(code, id, body.clone()).write_to(&mut encoded);
        assert!(encoded == bytes, "{name}: the bytes differ from Python's");
    }
    let mut decoder = FrameDecoder::new(MAX_MESSAGE_SIZE);
    let mut buffer = BytesMut::from(&bytes[..]);
    let expected = Message::from_parts(code, id, body);
    assert_eq!(decoder.decode(&mut buffer), Ok(Some(expected)), "{name}");
    assert!(buffer.is_empty(), "{name}: {} bytes left", buffer.len());
    assert_eq!(decoder.flagged(), u64::from(*flags != 0), "{name}");
}

#[test]
fn frames_are_pythons_both_ways() {
    for vector in section::<Vec<FrameVector>>("frames") {
        check_frame(&vector);
    }
}

/// Returns the messages of a stream that ends after the last chunk, and its end.
fn read<'a>(
    max_message_size: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Message>, Result<(), ProtocolError>) {
    let mut decoder = FrameDecoder::new(max_message_size);
    let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    let end = decoder.end(&buffer);
    (messages, end)
}

#[derive(Deserialize)]
struct StreamVector {
    name: String,
    max_message_size: usize,
    chunks: Vec<Hex>,
    #[serde(alias = "messages_rust_engine")]
    messages: Vec<MessageVector>,
    #[serde(alias = "buffer_left_rust_engine")]
    buffer_left: usize,
}

#[derive(Deserialize)]
struct MessageVector {
    code: u16,
    request_id: u16,
    payload: Hex,
}

impl StreamVector {
    fn messages(&self) -> Vec<Message> {
        let message = |vector: &MessageVector| {
            let body = Bytes::copy_from_slice(&vector.payload);
            Message::from_parts(vector.code, RequestId::new(vector.request_id), body)
        };
        self.messages.iter().map(message).collect()
    }
}

/// The expected result of our decoder for a stream.
#[derive(Clone, Copy)]
enum Ours {
    /// The same as Python: the same messages, and the same bytes wait for more.
    Agrees,
    /// The first of Python's messages, up to this number, then the connection closes. Python
    /// searches for the next magic and continues.
    Closes(usize, ProtocolError),
    /// Messages of these lengths, of which Python drops some, and then this end.
    Keeps(&'static [usize], Result<(), ProtocolError>),
}

use Ours::{Agrees, Closes, Keeps};

const fn bad_magic(found: [u8; 2]) -> ProtocolError {
    ProtocolError::BadMagic { found }
}

const fn oversize(total: u64, limit: usize) -> ProtocolError {
    ProtocolError::Oversize { total, limit }
}

const fn bad_checksum(announced: u32, computed: u32) -> ProtocolError {
    ProtocolError::ChecksumMismatch { announced, computed }
}

const STREAMS: [(&str, Ours); 24] = [
    ("two frames one chunk", Agrees),
    ("byte by byte", Agrees),
    ("split in header and payload", Agrees),
    ("incomplete frame waits", Agrees),
    ("garbage then frame", Closes(0, bad_magic(*b"ZZ"))),
    ("short garbage stays until 15 bytes exist", Closes(0, bad_magic(*b"ZZ"))),
    ("15 bytes garbage without magic are all dropped", Closes(0, bad_magic(*b"ZZ"))),
    ("half magic at the end of dropped garbage is lost", Closes(0, bad_magic(*b"ZZ"))),
    ("crc mismatch then good", Closes(0, bad_checksum(1, 0xb486_ff7e))),
    ("crc mismatch exposes embedded frame", Closes(0, bad_checksum(1, 0xd8a6_7eac))),
    // The decoder does not know types. The connection drops the message, as Python does.
    ("unknown code is skipped whole", Keeps(&[19, 4], Ok(()))),
    ("unknown code with bad crc: engines differ", Closes(0, bad_checksum(1, 0x2582_18e4))),
    ("exactly max_message_size", Agrees),
    ("one over max_message_size", Closes(0, oversize(101, 100))),
    ("oversize exposes embedded frame", Closes(0, oversize(134, 100))),
    ("oversize rejected from the header alone, body then scanned", Closes(0, oversize(215, 100))),
    ("declared size 0xffffffff", Closes(0, oversize(0x1_0000_000e, MAX_MESSAGE_SIZE))),
    ("declared size too small: surplus bytes resynced away", Closes(1, bad_magic(*b"cV"))),
    (
        "declared size too big swallows part of next frame, both later frames recovered",
        Closes(0, bad_checksum(0x3524_41c2, 0x309f_c005)),
    ),
    // Our buffer is bounded by max_message_size and needs no limit of its own.
    ("buffer overflow clears buffer and drops the chunk", Keeps(&[100], Err(bad_magic(*b"aa")))),
    ("buffer limit is inclusive", Agrees),
    (
        "one chunk above buffer limit is dropped even if it holds complete frames",
        Keeps(&[4; 7], Ok(())),
    ),
    ("non-zero flags accepted", Agrees),
    ("corrupted type, id and flags go unnoticed (crc covers payload only)", Agrees),
];

fn check_stream(vector: &StreamVector, ours: Ours) {
    let name = &vector.name;
    let chunks = || vector.chunks.iter().map(|chunk| &**chunk);
    let (messages, end) = read(vector.max_message_size, chunks());
    let pythons = vector.messages();
    match ours {
        Agrees => {
            assert_eq!(messages, pythons, "{name}");
            let left = match end {
                Err(ProtocolError::Truncated { received, .. }) => received,
                Ok(()) => 0,
                Err(error) => panic!("{name}: {error}"),
            };
            assert_eq!(left, vector.buffer_left, "{name}");
        }
        Closes(count, error) => {
            assert_eq!(messages, pythons[..count], "{name}");
            assert_eq!(end, Err(error), "{name}");
        }
        Keeps(lengths, expected) => {
            assert_ne!(messages, pythons, "{name}");
            let ours: Vec<_> = messages.iter().map(|message| message.body().len()).collect();
            assert_eq!((&ours[..], end), (lengths, expected), "{name}");
        }
    }
    let bytewise = read(vector.max_message_size, chunks().flat_map(|chunk| chunk.chunks(1)));
    assert_eq!(bytewise, (messages, end), "{name}: byte by byte");
}

#[test]
fn streams_are_pythons_or_close() {
    let vectors: Vec<StreamVector> = section("streams");
    check_listed(vectors.iter().map(|vector| &vector.name), STREAMS.map(|(name, _)| name));
    for (vector, (_, ours)) in vectors.iter().zip(STREAMS) {
        check_stream(vector, ours);
    }
}

#[derive(Deserialize)]
struct SingleVector {
    name: String,
    data: Hex,
    max_message_size: usize,
    /// The error of Python's function that reads exactly one frame.
    rust_engine: String,
}

const fn truncated(received: usize, expected: u64) -> ProtocolError {
    ProtocolError::Truncated { received, expected }
}

/// The number of messages, the end of the stream, and whether Python also treats it as valid or
/// invalid.
const SINGLE: [(&str, usize, Result<(), ProtocolError>, bool); 8] = [
    ("14 bytes", 0, Err(truncated(14, 15)), true),
    // A byte behind a frame begins the next one.
    ("payload longer than size field", 1, Err(truncated(1, 15)), true),
    ("payload shorter than size field", 0, Err(truncated(18, 19)), true),
    ("bad magic", 0, Err(bad_magic(*b"XV")), true),
    ("bad crc", 0, Err(bad_checksum(3, 0x24d9_1ba1)), true),
    // The decoder does not know types, and Python's function rejects unknown codes.
    ("unknown type", 1, Ok(()), false),
    ("above max", 0, Err(oversize(19, 18)), true),
    ("at max", 1, Ok(()), true),
];

#[test]
fn a_single_frame_is_judged_as_by_python() {
    let vectors: Vec<SingleVector> = section("single_frame_parse");
    check_listed(vectors.iter().map(|vector| &vector.name), SINGLE.map(|(name, ..)| name));
    for (vector, (name, count, end, agrees)) in vectors.iter().zip(SINGLE) {
        let (messages, ours) = read(vector.max_message_size, [&*vector.data]);
        assert_eq!((messages.len(), ours), (count, end), "{name}");
        assert_eq!(ours.is_ok() == (vector.rust_engine == "ok"), agrees, "{name}");
    }
}
