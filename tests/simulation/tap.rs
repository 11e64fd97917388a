//! What was said in one direction of a connection, decoded by a decoder of its own: it shares
//! nothing with the library's, so that it can judge it.

use super::body::Body;

/// See the module.
pub(super) struct Tap {
    /// The frames that were written whole.
    pub(super) written: Vec<Said>,
    /// How many of these the reader has whole.
    pub(super) read: usize,
    /// What is no frame.
    pub(super) wrong: Option<&'static str>,
}

/// A frame.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) code: u16,
    pub(super) id: u16,
    /// What the simulation wrote into it; nothing in a ping.
    pub(super) body: Option<Body>,
}

impl Tap {
    /// Decodes these bytes, of which so many were read.
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

/// The CRC-32 of zlib, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
