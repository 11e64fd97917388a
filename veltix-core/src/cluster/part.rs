//! [`Part`] and [`Assembly`]: records that are too large for one batch.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::record::{Record, RecordKind};
use crate::wire::{Read as _, WireError};

/// The bytes of a part before its content.
const HEAD_LEN: usize = 1 + 4 + 4;

/// A part of a record. All parts of a record have its sequence number, and only the last one ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct Part {
    /// The kind of the whole record.
    pub kind: RecordKind,
    /// The length of the whole body.
    pub total: u32,
    /// The place of this part in the body.
    pub offset: u32,
    /// The content.
    pub bytes: Bytes,
}

impl Part {
    /// Returns the part of a record that begins at `offset` and has at most `length` bytes; `None` behind the
    /// end, or if the record is too large for any node.
    #[must_use]
    pub fn of(record: &Record, offset: usize, length: usize) -> Option<Self> {
        let total = u32::try_from(record.body.len()).ok()?;
        let end = record.body.len().min(offset.saturating_add(length.max(1)));
        if offset >= end {
            return None;
        }
        let (kind, bytes) = (record.kind, record.body.slice(offset..end));
        Some(Self { kind, total, offset: offset as u32, bytes })
    }

    /// Returns whether the part is the last one of its record.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.offset as usize + self.bytes.len() == self.total as usize
    }

    /// Returns the record that carries the part.
    #[must_use]
    pub fn encode(&self) -> Record {
        let mut out = BytesMut::with_capacity(HEAD_LEN + self.bytes.len());
        out.put_u8(self.kind.number());
        out.put_u32(self.total);
        out.put_u32(self.offset);
        out.put_slice(&self.bytes);
        Record { kind: RecordKind::Part, body: out.freeze() }
    }

    /// Reads the body of such a record.
    ///
    /// # Errors
    /// Returns [`WireError`] if the part is not inside of its record.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let kind = RecordKind::of_number(bytes.read_u8()?);
        let (total, offset) = (bytes.read_u32()?, bytes.read_u32()?);
        let (length, limit) = (offset as usize + bytes.len(), total as usize);
        if length > limit || bytes.is_empty() {
            return Err(WireError::TooLong { what: "part", length, limit });
        }
        Ok(Self { kind, total, offset, bytes })
    }
}

/// The record of one stream that is arriving in parts.
#[derive(Debug, Default)]
pub struct Assembly {
    sequence: u64,
    total: usize,
    bytes: BytesMut,
}

impl Assembly {
    /// Adds a part of the record with this number; `limit` is the length of the largest record. Returns the
    /// record with its last part. A part that has arrived before is ignored. One that does not continue the
    /// record drops it: the numbers of the stream show that it is missing.
    ///
    /// # Errors
    /// Returns [`WireError::TooLong`] if the record is over the limit.
    pub fn add(
        &mut self,
        sequence: u64,
        part: &Part,
        limit: usize,
    ) -> Result<Option<Record>, WireError> {
        let total = part.total as usize;
        if total > limit {
            self.clear();
            return Err(WireError::TooLong { what: "record in parts", length: total, limit });
        }
        let is_same = self.sequence == sequence && self.total == total;
        if is_same && part.offset as usize + part.bytes.len() <= self.bytes.len() {
            // An engine may repeat a batch.
            return Ok(None);
        }
        if part.offset == 0 {
            self.clear();
            (self.sequence, self.total) = (sequence, total);
        }
        let goes_on = self.sequence == sequence
            && self.total == total
            && self.bytes.len() == part.offset as usize;
        if !goes_on {
            self.clear();
            return Ok(None);
        }
        // The memory grows with the bytes that arrive, not with the length that was announced.
        self.bytes.extend_from_slice(&part.bytes);
        if self.bytes.len() < total {
            return Ok(None);
        }
        let body = std::mem::take(&mut self.bytes).freeze();
        self.clear();
        Ok(Some(Record { kind: part.kind, body }))
    }

    /// Drops the record that is arriving if its number is at most this one: a later record has arrived, or was
    /// named, so that the rest of it is lost. Returns whether a record was dropped.
    pub fn drop_up_to(&mut self, sequence: u64) -> bool {
        let is_lost = !self.is_empty() && self.sequence <= sequence;
        if is_lost {
            self.clear();
        }
        is_lost
    }

    /// Returns the number of bytes that have arrived.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether no record is arriving.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(length: usize) -> Record {
        let body = (0..length).map(|at| at as u8).collect::<Vec<_>>().into();
        Record { kind: RecordKind::Frame, body }
    }

    /// Returns the parts of a record as they arrive.
    fn parts(record: &Record, length: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut offset = 0;
        while let Some(part) = Part::of(record, offset, length) {
            offset += part.bytes.len();
            parts.push(Part::decode(part.encode().body).unwrap());
        }
        parts
    }

    proptest! {
        #[test]
        fn a_record_arrives_whole(length in 1_usize..2_000, part in 1_usize..600) {
            let record = record(length);
            let parts = parts(&record, part);
            prop_assert_eq!(parts.iter().filter(|part| part.is_last()).count(), 1);
            let mut assembly = Assembly::default();
            let mut whole = None;
            for part in &parts {
                prop_assert!(whole.is_none());
                whole = assembly.add(7, part, 2_000).unwrap();
            }
            prop_assert_eq!(whole, Some(record));
            prop_assert!(assembly.is_empty());
        }

        /// A part that is repeated later changes nothing.
        #[test]
        fn a_repeated_part_costs_no_record(repeated in 0_usize..4, behind in 0_usize..4) {
            let record = record(100);
            let parts = parts(&record, 20);
            let mut assembly = Assembly::default();
            for (at, part) in parts.iter().enumerate() {
                let whole = assembly.add(7, part, 100).unwrap();
                prop_assert_eq!(whole.is_some(), at == 4);
                if at == behind && at < 4 && repeated <= at {
                    prop_assert_eq!(assembly.add(7, &parts[repeated], 100), Ok(None));
                }
            }
        }

        /// A record with a missing part never arrives, and the next one does.
        #[test]
        fn a_record_that_lacks_a_part_is_dropped(lost in 0_usize..5) {
            let record = record(100);
            let mut assembly = Assembly::default();
            for (at, part) in parts(&record, 20).iter().enumerate() {
                if at != lost {
                    prop_assert_eq!(assembly.add(7, part, 100), Ok(None));
                }
            }
            let next = parts(&record, 100);
            prop_assert_eq!(assembly.add(8, &next[0], 100), Ok(Some(record)));
        }
    }

    #[test]
    fn parts_have_limits() {
        let parts = parts(&record(100), 60);
        let mut assembly = Assembly::default();
        assert!(matches!(assembly.add(1, &parts[0], 99), Err(WireError::TooLong { .. })));
        assert_eq!(assembly.add(1, &parts[1], 100), Ok(None), "its begin is missing");
        assert_eq!(assembly.add(1, &parts[0], 100), Ok(None));
        assert_eq!((assembly.len(), assembly.add(2, &parts[1], 100)), (60, Ok(None)));
        let beyond = Part { offset: 90, ..parts[1].clone() };
        assert!(Part::decode(beyond.encode().body).is_err());
        assert!(Part::decode(Part { bytes: Bytes::new(), ..beyond }.encode().body).is_err());
    }
}
