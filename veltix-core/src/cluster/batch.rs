//! [`Batch`]: one message between nodes, with records.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::ids::NodeId;
use super::record::{Record, RecordKind};
use crate::limits::CLUSTER_WIRE;
use crate::wire::{Read as _, WireError};

/// Begins each batch.
const MAGIC: [u8; 2] = *b"VC";

/// The bytes of a batch before its records.
const HEAD_LEN: usize = 2 + 1 + 1 + 8 + 8 + 8 + 8 + 4 + 2;

/// The head of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct BatchHead {
    /// The version of the format.
    pub version: u8,
    /// The node that has sent the batch.
    pub origin: NodeId,
    /// The node that the batch is for, or `None` for all nodes.
    pub to: Option<NodeId>,
    /// The sequence number of the first record in the stream of the origin to this destination.
    pub first: u64,
    /// The last sequence number of the origin's stream to all nodes before this batch.
    pub all_before: u64,
    /// The milliseconds of the origin's monotonic clock. It wraps around after 49 days.
    pub clock: u32,
}

/// A batch that was received. It shares the memory of its bytes.
#[derive(Clone, Debug)]
pub struct Batch {
    head: BatchHead,
    records: u16,
    bytes: Bytes,
}

impl Batch {
    /// Reads the head of a batch. Unknown flags are ignored.
    ///
    /// # Errors
    /// Returns [`WireError`] if the bytes are no batch of a version that this node reads.
    pub fn read(mut bytes: Bytes) -> Result<Self, WireError> {
        if *bytes.read_bytes(2)? != MAGIC {
            return Err(WireError::BadMagic);
        }
        let version = bytes.read_u8()?;
        if !CLUSTER_WIRE.contains(&version) {
            let newest = *CLUSTER_WIRE.end();
            return Err(WireError::UnknownVersion { version, newest });
        }
        let _flags = bytes.read_u8()?;
        let head = BatchHead {
            version,
            origin: NodeId::read(&mut bytes)?,
            to: NodeId::new(bytes.read_u64()?),
            first: bytes.read_u64()?,
            all_before: bytes.read_u64()?,
            clock: bytes.read_u32()?,
        };
        let records = bytes.read_u16()?;
        Ok(Self { head, records, bytes })
    }

    /// Returns the head.
    #[must_use]
    pub const fn head(&self) -> &BatchHead {
        &self.head
    }

    /// Returns whether the batch has no records: its origin has connected to the broker again, and waits until
    /// it has heard the other nodes. A node answers a knock to all nodes with one to its origin.
    #[must_use]
    pub const fn is_knock(&self) -> bool {
        self.records == 0
    }

    /// Returns the number of records that the head announces.
    #[must_use]
    pub const fn records(&self) -> u16 {
        self.records
    }
}

/// The records of a batch, in order. After an error there are no more.
impl Iterator for Batch {
    type Item = Result<Record, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records = self.records.checked_sub(1)?;
        let mut read = || {
            let kind = RecordKind::of_number(self.bytes.read_u8()?);
            let length = self.bytes.read_u32()? as usize;
            Ok(Record { kind, body: self.bytes.read_bytes(length)? })
        };
        let record = read();
        if record.is_err() {
            self.records = 0;
        }
        Some(record)
    }
}

/// A batch that is being written.
#[derive(Debug)]
pub struct BatchWriter {
    bytes: BytesMut,
    records: u16,
}

impl BatchWriter {
    /// Begins a batch.
    #[must_use]
    pub fn new(head: &BatchHead) -> Self {
        let mut bytes = BytesMut::with_capacity(HEAD_LEN);
        bytes.put_slice(&MAGIC);
        bytes.put_u8(head.version);
        bytes.put_u8(0);
        bytes.put_u64(head.origin.value());
        bytes.put_u64(head.to.map_or(0, NodeId::value));
        bytes.put_u64(head.first);
        bytes.put_u64(head.all_before);
        bytes.put_u32(head.clock);
        bytes.put_u16(0);
        Self { bytes, records: 0 }
    }

    /// Returns the bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether the batch has no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Returns whether the batch holds as many records as its head can count.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.records == u16::MAX
    }

    /// Adds a record, or returns false: a full batch takes none, and no batch takes one of 4 GiB.
    #[must_use]
    pub fn add(&mut self, record: &Record) -> bool {
        let Ok(length) = u32::try_from(record.body.len()) else { return false };
        if self.is_full() {
            return false;
        }
        self.records += 1;
        self.bytes.put_u8(record.kind.number());
        self.bytes.put_u32(length);
        self.bytes.put_slice(&record.body);
        true
    }

    /// Ends the batch, and returns its bytes.
    #[must_use]
    pub fn finish(mut self) -> Bytes {
        self.bytes[HEAD_LEN - 2..HEAD_LEN].copy_from_slice(&self.records.to_be_bytes());
        self.bytes.freeze()
    }
}
