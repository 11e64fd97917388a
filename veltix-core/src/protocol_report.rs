//! [`ProtocolReport`]: the message by which a side reports why it reads no further.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::ProtocolError;

/// Is the length of a body: the kind, and two numbers.
const LENGTH: usize = 1 + 2 * size_of::<u64>();

/// A side sends this report under the code [`PROTOCOL_ERROR`](crate::PROTOCOL_ERROR) when it cannot
/// read its peer's stream any further, to a peer that [knows
/// it](crate::Hello::knows_protocol_report). Answers to earlier messages may follow it, and then
/// the end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "another field would be another part of the body")]
pub struct ProtocolReport(pub ProtocolError);

impl ProtocolReport {
    /// Returns the body of the message: the kind as one byte, and two numbers of 64 bits.
    #[must_use]
    pub fn body(self) -> Bytes {
        let (kind, first, second) = match self.0 {
            ProtocolError::BadMagic { found } => (1, u16::from_be_bytes(found).into(), 0),
            ProtocolError::Oversize { total, limit } => (2, total, limit as u64),
            ProtocolError::ChecksumMismatch { announced, computed } => {
                (3, announced.into(), computed.into())
            }
            ProtocolError::Truncated { received, expected } => (4, received as u64, expected),
        };
        let mut body = BytesMut::with_capacity(LENGTH);
        body.put_u8(kind);
        body.put_u64(first);
        body.put_u64(second);
        body.freeze()
    }

    /// Reads a body. Returns `None` if the body is too short or of an unknown kind, or if a number
    /// is too large for its meaning.
    ///
    /// Bytes after the numbers are ignored, so that later versions can add fields.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let (&[kind, ref numbers @ ..], _) = body.split_first_chunk::<LENGTH>()?;
        let (first, second) = numbers.split_at(size_of::<u64>());
        let first = u64::from_be_bytes(first.try_into().ok()?);
        let second = u64::from_be_bytes(second.try_into().ok()?);
        Some(Self(match kind {
            1 => ProtocolError::BadMagic { found: u16::try_from(first).ok()?.to_be_bytes() },
            2 => ProtocolError::Oversize { total: first, limit: second.try_into().ok()? },
            3 => ProtocolError::ChecksumMismatch {
                announced: first.try_into().ok()?,
                computed: second.try_into().ok()?,
            },
            4 => ProtocolError::Truncated { received: first.try_into().ok()?, expected: second },
            _ => return None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_error_is_read_back() {
        for error in [
            ProtocolError::BadMagic { found: *b"GE" },
            ProtocolError::Oversize { total: 15 + u64::from(u32::MAX), limit: 1 << 20 },
            ProtocolError::ChecksumMismatch { announced: u32::MAX, computed: 0 },
            ProtocolError::Truncated { received: 7, expected: 15 },
        ] {
            let body = ProtocolReport(error).body();
            assert_eq!(ProtocolReport::read(&body), Some(ProtocolReport(error)));
            let longer = [&body[..], b"later"].concat();
            assert_eq!(ProtocolReport::read(&longer), Some(ProtocolReport(error)));
            assert_eq!(ProtocolReport::read(&body[..LENGTH - 1]), None);
        }
        let body = ProtocolReport(ProtocolError::Oversize { total: 0x0102, limit: 0xff }).body();
        assert_eq!(&body[..], b"\x02\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\xff");
    }

    #[test]
    fn no_other_body_is_a_report() {
        assert_eq!(ProtocolReport::read(&[0; LENGTH]), None);
        assert_eq!(ProtocolReport::read(&[5; LENGTH]), None);
        assert_eq!(ProtocolReport::read(&[3; LENGTH]), None, "a checksum has 32 bits");
        assert_eq!(ProtocolReport::read(&[1; LENGTH]), None, "two bytes were found");
    }

    proptest! {
        #[test]
        fn no_body_panics(body in vec(any::<u8>(), 0..40)) {
            if let Some(report) = ProtocolReport::read(&body) {
                prop_assert_eq!(ProtocolReport::read(&report.body()), Some(report));
            }
        }
    }
}
