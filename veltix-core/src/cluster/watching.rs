//! [`NodeWatch`] and [`WatchDiff`]: a watch of a node on another one, and the changes that it has seen.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::ask::{decode_member, encode_member};
use super::record::{Record, RecordKind, read_target, write_target};
use super::status::{cut, read_reason};
use crate::limits::{CLUSTER_ANSWER_LEN, CLUSTER_DIFF_ITEMS, CLUSTER_NAMES, TAG_NAME_LEN};
use crate::tags::{Group, Member, TagValue, Target};
use crate::wire::{Read as _, WireError, Write as _, within};

/// The begin of a watch. A second one with the same number takes the place of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct NodeWatch {
    /// The number of the watch on the watching node.
    pub id: u64,
    /// The number of this begin. Changes of an earlier one are ignored.
    pub epoch: u32,
    /// The peers.
    pub target: Target,
    /// The form in which they are watched.
    pub form: WatchForm,
}

/// The form of a watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "it is the wire format")]
pub enum WatchForm {
    /// The peers, each with its tags of these names.
    Members(Vec<Arc<str>>),
    /// The groups of the peers that have the same value of this tag.
    Groups(Arc<str>),
}

/// Changes that a watch has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct WatchDiff {
    /// The number of the watch.
    pub id: u64,
    /// The number of the begin to which the changes belong.
    pub epoch: u32,
    /// The number of these changes. It counts by one.
    pub version: u64,
    /// The changes.
    pub content: DiffContent,
}

/// The content of a [`WatchDiff`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the watching node must handle every content")]
pub enum DiffContent {
    /// Changes of peers.
    Members(Vec<DiffStep<Member>>),
    /// Changes of groups.
    Groups(Vec<DiffStep<Group>>),
    /// The node does not watch, for this reason.
    Refused(Arc<str>),
    /// The watch has ended: the node took the watching one for gone.
    Ended,
}

/// A step of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the watching node must handle every step")]
pub enum DiffStep<T> {
    /// The node has exactly these.
    Reset(Vec<T>),
    /// This one has come.
    Entered(T),
    /// This one has gone.
    Left(T),
    /// A list that is too long for one record begins with these.
    Begin(Vec<T>),
    /// The list goes on with these.
    More(Vec<T>),
    /// The list ends with these: the node has exactly those of the list.
    End(Vec<T>),
}

mod kind {
    pub(super) const MEMBERS: u8 = 1;
    pub(super) const GROUPS: u8 = 2;
    pub(super) const REFUSED: u8 = 3;
    pub(super) const ENDED: u8 = 4;

    pub(super) const RESET: u8 = 1;
    pub(super) const ENTERED: u8 = 2;
    pub(super) const LEFT: u8 = 3;
    pub(super) const BEGIN: u8 = 4;
    pub(super) const MORE: u8 = 5;
    pub(super) const END: u8 = 6;
}

impl NodeWatch {
    /// Checks the limits of a watch.
    ///
    /// # Errors
    /// Returns [`WireError::TooLong`] if the target is over its limit.
    pub fn check(target: &Target) -> Result<(), WireError> {
        write_target(target, &mut BytesMut::new())
    }

    /// Returns the record of the begin.
    ///
    /// # Errors
    /// Returns [`WireError::TooLong`] if the target is over its limit.
    pub fn encode(&self) -> Result<Record, WireError> {
        let mut out = BytesMut::new();
        out.put_u64(self.id);
        out.put_u32(self.epoch);
        write_target(&self.target, &mut out)?;
        match &self.form {
            WatchForm::Members(names) => {
                out.put_u8(kind::MEMBERS);
                out.write_count(names.len());
                names.iter().for_each(|name| out.write_text(name));
            }
            WatchForm::Groups(by) => {
                out.put_u8(kind::GROUPS);
                out.write_text(by);
            }
        }
        Ok(Record { kind: RecordKind::Watch, body: out.freeze() })
    }

    /// Reads the body of such a record.
    ///
    /// # Errors
    /// Returns [`WireError`] if the record is damaged, over a limit, or of a newer release.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let (id, epoch) = (bytes.read_u64()?, bytes.read_u32()?);
        let target = read_target(&mut bytes)?;
        let form = match bytes.read_u8()? {
            kind::MEMBERS => {
                let names = bytes.read_count(4)?;
                within("list of names", names, CLUSTER_NAMES)?;
                WatchForm::Members(
                    (0..names).map(|_| read_name(&mut bytes)).collect::<Result<_, _>>()?,
                )
            }
            kind::GROUPS => WatchForm::Groups(read_name(&mut bytes)?),
            kind => return Err(WireError::UnknownKind { what: "form of a watch", kind }),
        };
        Ok(Self { id, epoch, target, form })
    }
}

/// Reads the name of a tag. A longer one than any tag has is cut to such a one: the node keeps it.
fn read_name(bytes: &mut Bytes) -> Result<Arc<str>, WireError> {
    let name = bytes.read_text()?;
    // A character has up to four bytes.
    let cut = cut(&name, TAG_NAME_LEN + 4);
    Ok(if cut.len() < name.len() { cut.into() } else { name })
}

/// The end of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct Unwatch {
    /// The number of the watch.
    pub id: u64,
}

impl Unwatch {
    /// Returns the record of the end.
    #[must_use]
    pub fn encode(self) -> Record {
        let body = Bytes::copy_from_slice(&self.id.to_be_bytes());
        Record { kind: RecordKind::Unwatch, body }
    }

    /// Reads the body of such a record.
    ///
    /// # Errors
    /// Returns [`WireError`] if the record is damaged.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        Ok(Self { id: bytes.read_u64()? })
    }
}

impl WatchDiff {
    /// Returns the record of the changes.
    #[must_use]
    pub fn encode(&self) -> Record {
        let mut out = BytesMut::new();
        out.put_u64(self.id);
        out.put_u32(self.epoch);
        out.put_u64(self.version);
        match &self.content {
            DiffContent::Members(steps) => {
                out.put_u8(kind::MEMBERS);
                encode_steps(steps, &mut out, encode_member);
            }
            DiffContent::Groups(steps) => {
                out.put_u8(kind::GROUPS);
                encode_steps(steps, &mut out, |group, out| group.key.encode(out));
            }
            DiffContent::Refused(reason) => {
                out.put_u8(kind::REFUSED);
                out.write_text(reason);
            }
            DiffContent::Ended => out.put_u8(kind::ENDED),
        }
        Record { kind: RecordKind::Diff, body: out.freeze() }
    }

    /// Reads the body of such a record.
    ///
    /// # Errors
    /// Returns [`WireError`] if the record is damaged, over a limit, or of a newer release.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        within("changes of a watch", bytes.len(), CLUSTER_ANSWER_LEN)?;
        let (id, epoch, version) = (bytes.read_u64()?, bytes.read_u32()?, bytes.read_u64()?);
        let content = match bytes.read_u8()? {
            kind::MEMBERS => DiffContent::Members(decode_steps(&mut bytes, 12, decode_member)?),
            kind::GROUPS => DiffContent::Groups(decode_steps(&mut bytes, 1, |bytes| {
                Ok(Group::of(TagValue::decode(bytes)?))
            })?),
            kind::REFUSED => DiffContent::Refused(read_reason(&mut bytes)?),
            kind::ENDED => DiffContent::Ended,
            kind => return Err(WireError::UnknownKind { what: "content of changes", kind }),
        };
        Ok(Self { id, epoch, version, content })
    }
}

fn encode_steps<T>(steps: &[DiffStep<T>], out: &mut BytesMut, item: impl Fn(&T, &mut BytesMut)) {
    out.write_count(steps.len());
    for step in steps {
        let (kind, items) = match step {
            DiffStep::Reset(items) => (kind::RESET, items),
            DiffStep::Begin(items) => (kind::BEGIN, items),
            DiffStep::More(items) => (kind::MORE, items),
            DiffStep::End(items) => (kind::END, items),
            DiffStep::Entered(one) => {
                out.put_u8(kind::ENTERED);
                item(one, out);
                continue;
            }
            DiffStep::Left(one) => {
                out.put_u8(kind::LEFT);
                item(one, out);
                continue;
            }
        };
        out.put_u8(kind);
        out.write_count(items.len());
        items.iter().for_each(|one| item(one, out));
    }
}

fn decode_steps<T>(
    bytes: &mut Bytes,
    size: usize,
    item: impl Fn(&mut Bytes) -> Result<T, WireError>,
) -> Result<Vec<DiffStep<T>>, WireError> {
    let mut steps = Vec::new();
    let changes = bytes.read_count(1)?;
    let mut all = changes;
    within("list of changes", all, CLUSTER_DIFF_ITEMS)?;
    for _ in 0..changes {
        let kind = bytes.read_u8()?;
        let mut list = || {
            let items = bytes.read_count(size)?;
            all += items;
            within("list of changes", all, CLUSTER_DIFF_ITEMS)?;
            (0..items).map(|_| item(bytes)).collect::<Result<_, _>>()
        };
        steps.push(match kind {
            kind::RESET => DiffStep::Reset(list()?),
            kind::BEGIN => DiffStep::Begin(list()?),
            kind::MORE => DiffStep::More(list()?),
            kind::END => DiffStep::End(list()?),
            kind::ENTERED => DiffStep::Entered(item(bytes)?),
            kind::LEFT => DiffStep::Left(item(bytes)?),
            kind => return Err(WireError::UnknownKind { what: "step of a watch", kind }),
        });
    }
    Ok(steps)
}
