//! [`NodeAsk`] and [`NodeAnswer`]: a question to the nodes themselves, such as a count of their peers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::change::Change;
use super::record::{Record, RecordKind, read_target};
use super::status::read_reason;
use crate::limits::{CLUSTER_ANSWER_LEN, CLUSTER_LIST, CLUSTER_NAMES};
use crate::tags::{Member, PeerId, Tag, TagValue, Target};
use crate::wire::{Read as _, WireError, Write as _, within};

/// A question to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct NodeAsk {
    /// The number of the question on the asking node.
    pub id: u64,
    /// The time for which the asking node waits. A question that is older is not answered.
    pub timeout: Duration,
    /// The question.
    pub question: Question,
}

/// The content of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// The number of the peers that a target matches.
    Count(Target),
    /// The peers that a target matches, with their tags of these names, up to `limit` of them.
    List {
        /// The peers.
        target: Target,
        /// The names of the tags.
        tags: Vec<Arc<str>>,
        /// The largest number of peers.
        limit: u32,
    },
    /// A change of the peers that a target matches.
    Change {
        /// The peers.
        target: Target,
        /// The change.
        change: Change,
    },
    /// A kind of a newer release.
    Unknown(u8),
}

/// The answer of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct NodeAnswer {
    /// The number of the question.
    pub id: u64,
    /// The answer.
    pub content: AnswerContent,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerContent {
    /// A number of peers: those that a target matches, or those that were changed.
    Count(u64),
    /// Peers with their tags.
    Members {
        /// The peers.
        members: Vec<Member>,
        /// True if there are more.
        truncated: bool,
    },
    /// The node does not know the question.
    Unsupported,
    /// The node cannot answer, for this reason.
    Refused(Arc<str>),
}

mod kind {
    pub(super) const COUNT: u8 = 1;
    pub(super) const LIST: u8 = 2;
    pub(super) const CHANGE: u8 = 3;

    pub(super) const MEMBERS: u8 = 2;
    pub(super) const UNSUPPORTED: u8 = 3;
    pub(super) const REFUSED: u8 = 4;
}

impl NodeAsk {
    /// Returns the record of the question.
    #[must_use]
    pub fn encode(&self) -> Record {
        let mut out = BytesMut::new();
        out.put_u64(self.id);
        out.put_u32(u32::try_from(self.timeout.as_millis()).unwrap_or(u32::MAX));
        match &self.question {
            Question::Count(target) => {
                out.put_u8(kind::COUNT);
                target.encode(&mut out);
            }
            Question::List { target, tags, limit } => {
                out.put_u8(kind::LIST);
                target.encode(&mut out);
                out.put_u32(*limit);
                out.write_count(tags.len());
                tags.iter().for_each(|name| out.write_text(name));
            }
            Question::Change { target, change } => {
                out.put_u8(kind::CHANGE);
                target.encode(&mut out);
                change.encode(&mut out);
            }
            Question::Unknown(kind) => out.put_u8(*kind),
        }
        Record { kind: RecordKind::Ask, body: out.freeze() }
    }

    /// Reads the body of such a record. Of a kind of a newer release, only the number is read.
    ///
    /// # Errors
    /// Returns [`WireError`] if the body is damaged or over a limit.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let (id, millis) = (bytes.read_u64()?, bytes.read_u32()?);
        let question = match bytes.read_u8()? {
            kind::COUNT => Question::Count(read_target(&mut bytes)?),
            kind::LIST => {
                let target = read_target(&mut bytes)?;
                let limit = bytes.read_u32()?;
                let names = bytes.read_count(4)?;
                within("list of names", names, CLUSTER_NAMES)?;
                let tags = (0..names).map(|_| bytes.read_text()).collect::<Result<_, _>>()?;
                Question::List { target, tags, limit }
            }
            kind::CHANGE => {
                let target = read_target(&mut bytes)?;
                match Change::decode(&mut bytes)? {
                    Some(change) => Question::Change { target, change },
                    None => Question::Unknown(kind::CHANGE),
                }
            }
            unknown => Question::Unknown(unknown),
        };
        Ok(Self { id, timeout: Duration::from_millis(millis.into()), question })
    }
}

impl NodeAnswer {
    /// Returns the record of the answer. Members without room in it are left out, and it says so.
    #[must_use]
    pub fn encode(&self) -> Record {
        let mut out = BytesMut::new();
        out.put_u64(self.id);
        match &self.content {
            AnswerContent::Count(count) => {
                out.put_u8(kind::COUNT);
                out.put_u64(*count);
            }
            AnswerContent::Members { members, truncated } => {
                out.put_u8(kind::MEMBERS);
                let begin = out.len();
                out.put_u8((*truncated).into());
                out.write_count(members.len());
                let written = members.iter().take_while(|member| {
                    let end = out.len();
                    encode_member(member, &mut out);
                    let fits = out.len() <= CLUSTER_ANSWER_LEN;
                    if !fits {
                        out.truncate(end);
                    }
                    fits
                });
                let written = written.count();
                if written < members.len() {
                    let head = [&[1], &(written as u32).to_be_bytes()[..]].concat();
                    out[begin..begin + head.len()].copy_from_slice(&head);
                }
            }
            AnswerContent::Unsupported => out.put_u8(kind::UNSUPPORTED),
            AnswerContent::Refused(reason) => {
                out.put_u8(kind::REFUSED);
                out.write_text(reason);
            }
        }
        Record { kind: RecordKind::Answer, body: out.freeze() }
    }

    /// Reads the body of such a record. An answer of a kind of a newer release is one of a node that does
    /// not support the question.
    ///
    /// # Errors
    /// Returns [`WireError`] if the body is damaged or over a limit.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        within("answer", bytes.len(), CLUSTER_ANSWER_LEN)?;
        let id = bytes.read_u64()?;
        let content = match bytes.read_u8()? {
            kind::COUNT => AnswerContent::Count(bytes.read_u64()?),
            kind::MEMBERS => {
                let truncated = bytes.read_u8()? != 0;
                let count = bytes.read_count(12)?;
                within("list of members", count, CLUSTER_LIST)?;
                let members =
                    (0..count).map(|_| decode_member(&mut bytes)).collect::<Result<_, _>>()?;
                AnswerContent::Members { members, truncated }
            }
            kind::REFUSED => AnswerContent::Refused(read_reason(&mut bytes)?),
            _ => AnswerContent::Unsupported,
        };
        Ok(Self { id, content })
    }
}

pub(super) fn encode_member(member: &Member, out: &mut BytesMut) {
    out.put_u64(member.peer.value());
    out.write_count(member.tags.len());
    for tag in &member.tags {
        out.write_text(tag.name());
        tag.value().encode(out);
    }
}

pub(super) fn decode_member(bytes: &mut Bytes) -> Result<Member, WireError> {
    let peer = PeerId::new(bytes.read_u64()?);
    let mut tags = Vec::new();
    for _ in 0..bytes.read_count(5)? {
        let name = bytes.read_text()?;
        tags.push(Tag::from((name, TagValue::decode(bytes)?)));
    }
    Ok(Member { peer, tags })
}
