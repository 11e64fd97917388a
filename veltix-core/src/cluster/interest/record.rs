//! The records by which nodes tell and ask for their interest.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::super::record::{Record, RecordKind};
use crate::limits::CLUSTER_INTEREST;
use crate::tags::TagHash;
use crate::wire::{Read as _, WireError, Write as _, within};

const LIST: &str = "list of tag hashes";

mod kind {
    pub(super) const EVERYTHING: u8 = 0;
    pub(super) const HASHES: u8 = 1;
}

/// A change of a node's interest: the body of an [`Interest`](RecordKind::Interest) record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct InterestDelta {
    /// The version that the change is made to.
    pub from: u64,
    /// The version after the change.
    pub to: u64,
    /// The hashes that are added, in ascending order.
    pub added: Vec<TagHash>,
    /// The hashes that are removed, in ascending order. None of them is added as well.
    pub removed: Vec<TagHash>,
}

/// All of a node's interest: the body of a [`Sync`](RecordKind::Sync) record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct InterestSnapshot {
    /// The version. The first one of a node is 1, and 0 is the version of a node that tells no interest.
    pub version: u64,
    /// The hashes in ascending order, or `None` if the node has to receive every message.
    pub hashes: Option<Vec<TagHash>>,
}

/// A question for all of a node's interest: the body of a [`SyncAsk`](RecordKind::SyncAsk) record. It has no
/// content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it has no content")]
pub struct InterestSyncAsk;

impl InterestDelta {
    /// Returns the record of the change.
    #[must_use]
    pub fn encode(&self) -> Record {
        let hashes = self.added.len() + self.removed.len();
        let mut out = BytesMut::with_capacity(8 + 8 + 4 + 4 + 8 * hashes);
        out.put_u64(self.from);
        out.put_u64(self.to);
        write_hashes(&self.added, &mut out);
        write_hashes(&self.removed, &mut out);
        Record { kind: RecordKind::Interest, body: out.freeze() }
    }

    /// Reads the body of such a record. Bytes behind it are ignored, so that later releases can add fields.
    ///
    /// # Errors
    /// Returns [`WireError`] if the body is damaged or over a limit.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let (from, to) = (bytes.read_u64()?, bytes.read_u64()?);
        let (added, removed) = (read_hashes(&mut bytes)?, read_hashes(&mut bytes)?);
        Ok(Self { from, to, added, removed })
    }
}

impl InterestSnapshot {
    /// Returns the record of the snapshot.
    #[must_use]
    pub fn encode(&self) -> Record {
        let hashes = self.hashes.as_ref().map_or(0, Vec::len);
        let mut out = BytesMut::with_capacity(8 + 1 + 4 + 8 * hashes);
        out.put_u64(self.version);
        match &self.hashes {
            None => out.put_u8(kind::EVERYTHING),
            Some(hashes) => {
                out.put_u8(kind::HASHES);
                write_hashes(hashes, &mut out);
            }
        }
        Record { kind: RecordKind::Sync, body: out.freeze() }
    }

    /// Reads the body of such a record. Bytes behind it are ignored, so that later releases can add fields. A
    /// kind of a newer release is read as everything.
    ///
    /// # Errors
    /// Returns [`WireError`] if the body is damaged or over a limit.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let version = bytes.read_u64()?;
        let hashes = match bytes.read_u8()? {
            kind::HASHES => Some(read_hashes(&mut bytes)?),
            _ => None,
        };
        Ok(Self { version, hashes })
    }
}

impl InterestSyncAsk {
    /// Returns the record of the question.
    #[must_use]
    pub const fn encode(self) -> Record {
        Record { kind: RecordKind::SyncAsk, body: Bytes::new() }
    }
}

fn write_hashes(hashes: &[TagHash], out: &mut BytesMut) {
    out.write_count(hashes.len());
    hashes.iter().for_each(|hash| out.put_u64(hash.value()));
}

fn read_hashes(bytes: &mut Bytes) -> Result<Vec<TagHash>, WireError> {
    let count = bytes.read_count(8)?;
    within(LIST, count, CLUSTER_INTEREST)?;
    let mut hashes = Vec::with_capacity(count);
    for _ in 0..count {
        let hash = TagHash::new(bytes.read_u64()?);
        // The receiver applies a sorted list in one pass, and must not sort it for the sender.
        if hashes.last().is_some_and(|last| *last >= hash) {
            return Err(WireError::Unordered { what: LIST });
        }
        hashes.push(hash);
    }
    Ok(hashes)
}
