//! The messages in one direction of a connection, decoded by an independent decoder: it shares no
//! code with the library, so that it can check the library.

use super::body::Body;

/// The decoded content of one direction.
pub(super) struct Tap {
    /// The complete frames.
    pub(super) written: Vec<Said>,
    /// The number of these that the reader has received completely.
    pub(super) read: usize,
    /// The bytes that are not a frame.
    pub(super) wrong: Option<&'static str>,
}

/// A frame.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) code: u16,
    pub(super) id: u16,
    /// The body that the simulation wrote into it; `None` for a ping.
    pub(super) body: Option<Body>,
}

impl Tap {
    /// Decodes these bytes, of which the reader has received the first `read`.
    pub(super) fn new(mut bytes: &[u8], read: usize, of_handshake: usize) -> Self {
        let mut tap = Self { written: Vec::new(), read: 0, wrong: None };
        let all = bytes.len();
        for _ in 0..of_handshake {
            let Some((length, rest)) = bytes.split_first_chunk() else { return tap };
            let Some(rest) = rest.get(usize::from(u16::from_be_bytes(*length))..) else {
                return tap;
            };
            bytes = rest;
        }
        while let Some((header, rest)) = bytes.split_first_chunk::<15>() {
            let two = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
            let four = |at: usize| u32::from(two(at)) << 16 | u32::from(two(at + 2));
            if header[..3] != *b"VX\0" {
                tap.wrong = Some("no frame begins");
                break;
            }
            let Some((body, rest)) = rest.split_at_checked(four(5) as usize) else { break };
            if crc32(body) != four(9) {
                tap.wrong = Some("a damaged frame");
                break;
            }
            bytes = rest;
            tap.written.push(Said { code: two(3), id: two(13), body: Body::read(body) });
            if all - bytes.len() <= read {
                tap.read = tap.written.len();
            }
        }
        tap
    }
}

/// The CRC-32 of zlib, computed bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
