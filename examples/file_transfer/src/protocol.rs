//! The messages between the two sides.
//!
//! | code | message | body |
//! |---|---|---|
//! | 200 | `offer` | JSON `{"name", "size", "sha256"}`; answered by `stored` |
//! | 201 | `chunk` | the offset (8 bytes, big-endian), then that part of the file; answered by `stored` |
//! | 202 | `finish` | empty: the whole file was sent; answered by `stored` |
//! | 203 | `stored` | JSON `{"bytes", "complete"}` |
//! | 204 | `refused` | JSON `{"reason"}`, in place of any `stored` |

use bytes::{Buf, Bytes};
use veltix::Rejection;

/// Bytes of a file in one chunk: large enough for the cost of a round trip, small enough that a lost
/// connection loses little.
pub(crate) const CHUNK: usize = 256 * 1024;

/// Bytes of the offset at the beginning of a chunk.
const OFFSET: usize = size_of::<u64>();

#[veltix::message]
pub(crate) enum Transfer {
    /// Offers a file. The answer is the number of its bytes that the receiver has already.
    #[message(code = 200, reply = Stored, error = Refused)]
    Offer { name: String, size: u64, sha256: String },
    /// A part of the file that was offered last.
    #[message(code = 201, raw, max = OFFSET + CHUNK, reply = Stored, error = Refused)]
    Chunk(Bytes),
    /// Ends the file.
    #[message(code = 202, reply = Stored, error = Refused)]
    Finish,
    /// The number of stored bytes. `complete` is true after the file was verified and named.
    #[message(code = 203, derive(PartialEq))]
    Stored { bytes: u64, complete: bool },
    /// Refuses the file, with the reason.
    #[message(code = 204)]
    Refused { reason: String },
}

impl Chunk {
    /// Returns the beginning of a chunk's body. The bytes of the file follow.
    pub(crate) fn body_at(offset: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(OFFSET + CHUNK);
        body.extend(offset.to_be_bytes());
        body
    }

    /// Returns the offset and the bytes, or `None` if the body is too short for a chunk.
    pub(crate) fn into_parts(self) -> Option<(u64, Bytes)> {
        let Self(mut body) = self;
        let offset = body.try_get_u64().ok()?;
        Some((offset, body))
    }
}

impl Refused {
    pub(crate) fn because(reason: impl ToString) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// Refuses a body that cannot be parsed too.
impl From<&Rejection> for Refused {
    fn from(rejection: &Rejection) -> Self {
        Self::because(rejection)
    }
}

/// Refuses a file that cannot be stored, for example because the disk is full.
impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::because(format_args!("the receiver cannot store it: {error}"))
    }
}
