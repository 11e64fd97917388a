//! What the two sides say to each other.
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

/// Bytes of a file in one chunk: large enough that a round trip is worth it, small enough that
/// little is lost with a connection.
pub(crate) const CHUNK: usize = 256 * 1024;

/// Bytes of the offset at the beginning of a chunk.
const OFFSET: usize = size_of::<u64>();

#[veltix::message]
pub(crate) enum Transfer {
    /// Would the receiver like this file, and how much of it has it already?
    #[message(code = 200, reply = Stored, error = Refused)]
    Offer { name: String, size: u64, sha256: String },
    /// A part of the file that was offered last.
    #[message(code = 201, raw, max = OFFSET + CHUNK, reply = Stored, error = Refused)]
    Chunk(Bytes),
    /// That was all of it.
    #[message(code = 202, reply = Stored, error = Refused)]
    Finish,
    /// So many bytes of the file are stored; `complete` once it has been checked and named.
    #[message(code = 203, derive(PartialEq))]
    Stored { bytes: u64, complete: bool },
    /// Why the file is not taken.
    #[message(code = 204)]
    Refused { reason: String },
}

impl Chunk {
    /// The beginning of a chunk's body; the bytes of the file follow.
    pub(crate) fn body_at(offset: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(OFFSET + CHUNK);
        body.extend(offset.to_be_bytes());
        body
    }

    /// The offset and the bytes, or nothing if it is too short to be a chunk.
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

/// A body that cannot be read is refused too.
impl From<&Rejection> for Refused {
    fn from(rejection: &Rejection) -> Self {
        Self::because(rejection)
    }
}

/// The receiver's disk is full, say.
impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::because(format_args!("the receiver cannot store it: {error}"))
    }
}
