//! A second decoder, written from PROTOCOL.md alone: slow, simple, and without shared code.

use veltix_core::ProtocolError;

/// A frame as it was in the stream.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    pub(super) flags: u8,
    pub(super) code: u16,
    pub(super) id: u16,
    pub(super) body: &'a [u8],
    /// All bytes of the frame, including the header.
    pub(super) bytes: &'a [u8],
}

/// Returns the frames of a complete stream, and its end.
pub(super) fn read(stream: &[u8], limit: usize) -> (Vec<Parsed<'_>>, Result<(), ProtocolError>) {
    let (mut frames, mut rest) = (Vec::new(), stream);
    loop {
        match one(rest, limit) {
            Ok(Some(frame)) => {
                rest = &rest[frame.bytes.len()..];
                frames.push(frame);
            }
            Ok(None) => return (frames, Ok(())),
            Err(error) => return (frames, Err(error)),
        }
    }
}

/// Returns the frame at the start of these bytes, or its error; `None` if there are no bytes.
fn one(bytes: &[u8], limit: usize) -> Result<Option<Parsed<'_>>, ProtocolError> {
    let truncated = |expected| ProtocolError::Truncated { received: bytes.len(), expected };
    let number = |from: usize, to: usize| {
        bytes[from..to].iter().fold(0_u64, |number, byte| number * 256 + u64::from(*byte))
    };
    match *bytes {
        [] => return Ok(None),
        [_] => return Err(truncated(15)),
        [0x56, 0x58, ..] => {}
        [first, second, ..] => return Err(ProtocolError::BadMagic { found: [first, second] }),
    }
    if bytes.len() < 15 {
        return Err(truncated(15));
    }
    let total = 15 + number(5, 9);
    if total > limit as u64 {
        return Err(ProtocolError::Oversize { total, limit });
    }
    if (bytes.len() as u64) < total {
        return Err(truncated(total));
    }
    let bytes = &bytes[..total as usize];
    let body = &bytes[15..];
    let (announced, computed) = (number(9, 13) as u32, crc32(body));
    if announced != computed {
        return Err(ProtocolError::ChecksumMismatch { announced, computed });
    }
    let (code, id) = (number(3, 5) as u16, number(13, 15) as u16);
    Ok(Some(Parsed { flags: bytes[2], code, id, body, bytes }))
}

/// Computes CRC-32 from its definition, bit by bit.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = register & 1;
            register >>= 1;
            if carry == 1 {
                register ^= 0xedb8_8320;
            }
        }
    }
    !register
}

/// Returns the bytes of a frame.
pub(super) fn write(flags: u8, code: u16, id: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x56, 0x58, flags];
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&crc32(body).to_be_bytes());
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}
