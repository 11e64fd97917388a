//! [`WireError`], and the reading and writing of values in the records between nodes. Integers are in
//! big-endian order.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use thiserror::Error;

use crate::error::TargetError;

/// The reason why a batch or a record from another node cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end in the middle of a value.
    #[error("the bytes end in the middle of a value")]
    Truncated,
    /// The batch does not begin with the magic bytes of a batch.
    #[error(
        "the bytes are no batch of a cluster: another program publishes under the cluster's name"
    )]
    BadMagic,
    /// The batch has a version that this node does not read.
    #[error("the batch has version {version}, and this node reads up to {newest}")]
    UnknownVersion {
        /// Holds the version of the batch.
        version: u8,
        /// Holds the newest version that this node reads.
        newest: u8,
    },
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Utf8,
    /// A part of a value has a kind that this node does not know.
    #[error("unknown {what} {kind}: the other node has a newer release")]
    UnknownKind {
        /// Holds the name of the part.
        what: &'static str,
        /// Holds the number of the kind.
        kind: u8,
    },
    /// A list or a value is over its limit.
    #[error("{what} of {length}, over the limit of {limit}")]
    TooLong {
        /// Holds the name of the list or value.
        what: &'static str,
        /// Holds its length.
        length: usize,
        /// Holds the limit.
        limit: usize,
    },
    /// A list is not in ascending order, or has an item twice.
    #[error("the {what} is not in ascending order")]
    Unordered {
        /// Holds the name of the list.
        what: &'static str,
    },
    /// The target is over a limit.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The frame in a record is damaged, or followed by other bytes.
    #[error("the frame in a record is damaged")]
    BadFrame,
}

/// Checks that a list or value is within its limit.
pub(crate) const fn within(
    what: &'static str,
    length: usize,
    limit: usize,
) -> Result<(), WireError> {
    if length > limit { Err(WireError::TooLong { what, length, limit }) } else { Ok(()) }
}

/// Reads a value whose memory can be many times its bytes, of which at most `limit` are looked at.
pub(crate) fn read_within<T>(
    bytes: &mut Bytes,
    what: &'static str,
    limit: usize,
    read: impl FnOnce(&mut Bytes) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let mut first = bytes.slice(..bytes.len().min(limit));
    let is_cut = first.len() < bytes.len();
    let (before, value) = (first.len(), read(&mut first));
    match value {
        Err(WireError::Truncated) if is_cut => {
            Err(WireError::TooLong { what, length: bytes.len(), limit })
        }
        value => {
            bytes.advance(before - first.len());
            value
        }
    }
}

/// Reads values off the front of the bytes.
pub(crate) trait Read {
    fn read_u8(&mut self) -> Result<u8, WireError>;
    fn read_u16(&mut self) -> Result<u16, WireError>;
    fn read_u32(&mut self) -> Result<u32, WireError>;
    fn read_u64(&mut self) -> Result<u64, WireError>;

    /// Reads the next `length` bytes, which share the memory.
    fn read_bytes(&mut self, length: usize) -> Result<Bytes, WireError>;

    /// Reads a length of 32 bits and a text.
    fn read_text(&mut self) -> Result<Arc<str>, WireError>;

    /// Reads the number of items that follow. Each of them has at least `size` bytes, so that no
    /// number makes the reader reserve more memory than the bytes take.
    fn read_count(&mut self, size: usize) -> Result<usize, WireError>;
}

impl Read for Bytes {
    fn read_u8(&mut self) -> Result<u8, WireError> {
        self.try_get_u8().map_err(|_| WireError::Truncated)
    }

    fn read_u16(&mut self) -> Result<u16, WireError> {
        self.try_get_u16().map_err(|_| WireError::Truncated)
    }

    fn read_u32(&mut self) -> Result<u32, WireError> {
        self.try_get_u32().map_err(|_| WireError::Truncated)
    }

    fn read_u64(&mut self) -> Result<u64, WireError> {
        self.try_get_u64().map_err(|_| WireError::Truncated)
    }

    fn read_bytes(&mut self, length: usize) -> Result<Bytes, WireError> {
        if self.len() < length { Err(WireError::Truncated) } else { Ok(self.split_to(length)) }
    }

    fn read_text(&mut self) -> Result<Arc<str>, WireError> {
        let length = self.read_u32()? as usize;
        let bytes = self.read_bytes(length)?;
        std::str::from_utf8(&bytes).map(Into::into).map_err(|_| WireError::Utf8)
    }

    fn read_count(&mut self, size: usize) -> Result<usize, WireError> {
        let count = self.read_u32()? as usize;
        if count > self.len() / size { Err(WireError::Truncated) } else { Ok(count) }
    }
}

/// Writes values at the end of the bytes.
pub(crate) trait Write {
    /// Writes a length of 32 bits and the text.
    fn write_text(&mut self, text: &str);

    /// Writes the number of items that follow.
    fn write_count(&mut self, count: usize);
}

impl Write for BytesMut {
    fn write_text(&mut self, text: &str) {
        self.write_count(text.len());
        self.put_slice(text.as_bytes());
    }

    fn write_count(&mut self, count: usize) {
        self.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
    }
}
