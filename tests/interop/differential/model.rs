//! The Python package's decoder, as PROTOCOL.md describes it.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use veltix_core::ProtocolError;

use super::streams::{Stream, crc32};
use super::{KNOWN, Read};

const MAGIC: [u8; 2] = *b"VX";

/// A decoder of the package: it has one in Python and a compiled one.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Engine {
    Compiled,
    Python,
}

impl Engine {
    pub(super) const BOTH: [Self; 2] = [Self::Compiled, Self::Python];
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compiled => "compiled",
            Self::Python => "python",
        })
    }
}

/// A difference between the two decoders. PROTOCOL.md has a line for each, under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Difference {
    WrongMagic,
    Oversize,
    Damaged,
    UnknownAndDamaged,
    BufferFull,
}

impl Difference {
    pub(super) const ALL: [Self; 5] = [
        Self::WrongMagic,
        Self::Oversize,
        Self::Damaged,
        Self::UnknownAndDamaged,
        Self::BufferFull,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::WrongMagic => "wrong magic",
            Self::Oversize => "frame over the limit",
            Self::Damaged => "wrong checksum",
            Self::UnknownAndDamaged => "unknown code and wrong checksum",
            Self::BufferFull => "more than its buffer holds",
        }
    }

    /// Reports whether our decoder may end in this way at this difference.
    pub(super) const fn is_how_ours_ends(self, end: Result<(), ProtocolError>) -> bool {
        match self {
            Self::WrongMagic => matches!(end, Err(ProtocolError::BadMagic { .. })),
            Self::Oversize => matches!(end, Err(ProtocolError::Oversize { .. })),
            Self::Damaged | Self::UnknownAndDamaged => {
                matches!(end, Err(ProtocolError::ChecksumMismatch { .. }))
            }
            // Ours reads the bytes that Python discards there, and any end is possible.
            Self::BufferFull => true,
        }
    }
}

/// The result of Python for a stream, and the difference from ours.
pub(super) struct Model {
    pub(super) read: Read,
    /// The first difference, and the number of messages before it.
    pub(super) parted: Option<(Difference, usize)>,
    buffer: BytesMut,
}

impl Model {
    pub(super) fn of(stream: &Stream, engine: Engine) -> Self {
        let read = Read { messages: Vec::new(), left: 0 };
        let mut model = Self { read, parted: None, buffer: BytesMut::new() };
        for chunk in &stream.chunks {
            if model.buffer.len() + chunk.len() > stream.max_buffer_size as usize {
                model.part(Difference::BufferFull);
                model.buffer.clear();
                continue;
            }
            model.buffer.extend_from_slice(chunk);
            while model.step(stream.max_message_size as usize, engine) {}
            // Ours has detected it already; Python detects it when there are 15 bytes.
            if model.buffer.len() >= 2 && !model.buffer.starts_with(&MAGIC) {
                model.part(Difference::WrongMagic);
            }
        }
        model.read.left = model.buffer.len();
        model
    }

    /// Reads or skips one item. Returns `false` if more bytes are needed.
    fn step(&mut self, limit: usize, engine: Engine) -> bool {
        let Some(&header) = self.buffer.first_chunk::<15>() else { return false };
        if !header.starts_with(&MAGIC) {
            self.skip(Difference::WrongMagic);
            return true;
        }
        let mut fields = &header[3..];
        let (code, length) = (fields.get_u16(), fields.get_u32() as usize);
        let (announced, id) = (fields.get_u32(), fields.get_u16());
        if 15 + length > limit {
            self.skip(Difference::Oversize);
            return true;
        }
        let Some(body) = self.buffer.get(15..15 + length) else { return false };
        let (known, good) = (KNOWN.contains(&code), crc32(body) == announced);
        match (known, good) {
            (true, true) => self.read.messages.push((code, id, Bytes::copy_from_slice(body))),
            (true, false) => {
                self.skip(Difference::Damaged);
                return true;
            }
            (false, true) => {}
            (false, false) if engine == Engine::Compiled => {
                self.skip(Difference::UnknownAndDamaged);
                return true;
            }
            (false, false) => self.part(Difference::UnknownAndDamaged),
        }
        self.buffer.advance(15 + length);
        true
    }

    /// Searches for the next magic. If there is none, all bytes are discarded, including half of a
    /// magic.
    fn skip(&mut self, why: Difference) {
        self.part(why);
        let next = self.buffer[1..].windows(2).position(|bytes| bytes == MAGIC);
        self.buffer.advance(next.map_or(self.buffer.len(), |at| at + 1));
    }

    fn part(&mut self, difference: Difference) {
        self.parted.get_or_insert((difference, self.read.messages.len()));
    }
}
