//! [`NodeCall`], [`Roster`] and [`PeerReply`]: a request to the peers of a node, the peers that it has asked,
//! and the response of each of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::ids::PeerRef;
use super::record::{
    Record, RecordKind, read_except, read_message, read_target, write_except, write_target,
};
use super::status::read_reason;
use crate::frame::Frame;
use crate::limits::CLUSTER_WATCH_ITEMS;
use crate::message::Message;
use crate::tags::{PeerId, Target};
use crate::wire::{Read as _, WireError, Write as _, within};

/// A request to the peers of a node that a target matches.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct NodeCall {
    /// The number of the call on the asking node.
    pub id: u64,
    /// The time for which the asking node waits. A call that is older is not started.
    pub timeout: Duration,
    /// The peers.
    pub target: Target,
    /// Peers that are not asked.
    pub except: Vec<PeerRef>,
    /// The request.
    pub message: Message,
}

/// The peers that a node has asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct Roster {
    /// The number of the call.
    pub id: u64,
    /// The peers, or the reason for which the node has asked none.
    pub peers: Result<Vec<PeerId>, Arc<str>>,
}

/// The response of a peer.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct PeerReply {
    /// The number of the call.
    pub id: u64,
    /// The peer.
    pub peer: PeerId,
    /// The response.
    pub outcome: PeerOutcome,
}

/// The response of a peer to a call.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a reader must handle every outcome")]
pub enum PeerOutcome {
    /// The peer has replied.
    Reply(Message),
    /// The timeout passed without a response.
    TimedOut,
    /// The connection ended before the reply.
    Left,
    /// The outbox had no room for the request.
    Full,
    /// More than this number of bytes waited on the node.
    Congested {
        /// The limit in bytes.
        limit: u64,
    },
    /// The node could not send the request to the peer, for this reason.
    Failed(Arc<str>),
}

mod kind {
    pub(super) const REPLY: u8 = 1;
    pub(super) const TIMED_OUT: u8 = 2;
    pub(super) const LEFT: u8 = 3;
    pub(super) const FULL: u8 = 4;
    pub(super) const CONGESTED: u8 = 5;
    pub(super) const FAILED: u8 = 6;
}

impl NodeCall {
    /// Checks the limits of a call.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode).
    pub fn check(target: &Target, except: &[PeerRef]) -> Result<(), WireError> {
        let mut out = BytesMut::new();
        write_target(target, &mut out)?;
        write_except(except, &mut out)
    }

    /// Returns the record of a call, without a copy of the body of the request in between.
    ///
    /// # Errors
    /// Returns [`WireError::TooLong`] if the target or the list of exceptions is over its limit.
    pub fn encode(
        id: u64,
        timeout: Duration,
        target: &Target,
        except: &[PeerRef],
        request: &Frame,
    ) -> Result<Record, WireError> {
        let mut out = BytesMut::new();
        out.put_u64(id);
        out.put_u32(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        write_target(target, &mut out)?;
        write_except(except, &mut out)?;
        request.write_to(&mut out);
        Ok(Record { kind: RecordKind::Call, body: out.freeze() })
    }

    /// Reads the body of such a record. The request shares the memory of the bytes.
    ///
    /// # Errors
    /// Returns [`WireError`] if the record is damaged, over a limit, or of a newer release.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let (id, millis) = (bytes.read_u64()?, bytes.read_u32()?);
        let target = read_target(&mut bytes)?;
        let except = read_except(&mut bytes)?;
        let timeout = Duration::from_millis(millis.into());
        Ok(Self { id, timeout, target, except, message: read_message(bytes)? })
    }
}

impl Roster {
    /// Returns the record of the roster.
    #[must_use]
    pub fn encode(&self) -> Record {
        let mut out = BytesMut::new();
        out.put_u64(self.id);
        match &self.peers {
            Ok(peers) => {
                out.put_u8(1);
                out.write_count(peers.len());
                peers.iter().for_each(|peer| out.put_u64(peer.value()));
            }
            Err(reason) => {
                out.put_u8(0);
                out.write_text(reason);
            }
        }
        Record { kind: RecordKind::Roster, body: out.freeze() }
    }

    /// Reads the body of such a record.
    ///
    /// # Errors
    /// Returns [`WireError`] if the record is damaged or over a limit.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let id = bytes.read_u64()?;
        let peers = if bytes.read_u8()? == 0 {
            Err(read_reason(&mut bytes)?)
        } else {
            let count = bytes.read_count(8)?;
            within("list of peers", count, CLUSTER_WATCH_ITEMS)?;
            let peers = (0..count).map(|_| bytes.read_u64().map(PeerId::new));
            Ok(peers.collect::<Result<_, _>>()?)
        };
        Ok(Self { id, peers })
    }
}

impl PeerReply {
    /// Returns the record of the response.
    #[must_use]
    pub fn encode(self) -> Record {
        let mut out = BytesMut::new();
        out.put_u64(self.id);
        out.put_u64(self.peer.value());
        match self.outcome {
            PeerOutcome::Reply(message) => {
                out.put_u8(kind::REPLY);
                Frame::from(message).write_to(&mut out);
            }
            PeerOutcome::TimedOut => out.put_u8(kind::TIMED_OUT),
            PeerOutcome::Left => out.put_u8(kind::LEFT),
            PeerOutcome::Full => out.put_u8(kind::FULL),
            PeerOutcome::Congested { limit } => {
                out.put_u8(kind::CONGESTED);
                out.put_u64(limit);
            }
            PeerOutcome::Failed(reason) => {
                out.put_u8(kind::FAILED);
                out.write_text(&reason);
            }
        }
        Record { kind: RecordKind::Reply, body: out.freeze() }
    }

    /// Reads the body of such a record.
    ///
    /// # Errors
    /// Returns [`WireError`] if the record is damaged or of a newer release.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let (id, peer) = (bytes.read_u64()?, PeerId::new(bytes.read_u64()?));
        let outcome = match bytes.read_u8()? {
            kind::REPLY => PeerOutcome::Reply(read_message(bytes)?),
            kind::TIMED_OUT => PeerOutcome::TimedOut,
            kind::LEFT => PeerOutcome::Left,
            kind::FULL => PeerOutcome::Full,
            kind::CONGESTED => PeerOutcome::Congested { limit: bytes.read_u64()? },
            kind::FAILED => PeerOutcome::Failed(read_reason(&mut bytes)?),
            kind => return Err(WireError::UnknownKind { what: "response of a peer", kind }),
        };
        Ok(Self { id, peer, outcome })
    }
}

/// The end of a call that needs no more responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct Cancel {
    /// The number of the call.
    pub id: u64,
}

impl Cancel {
    /// Returns the record of the end.
    #[must_use]
    pub fn encode(self) -> Record {
        let body = Bytes::copy_from_slice(&self.id.to_be_bytes());
        Record { kind: RecordKind::Cancel, body }
    }

    /// Reads the body of such a record.
    ///
    /// # Errors
    /// Returns [`WireError`] if the record is damaged.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        Ok(Self { id: bytes.read_u64()? })
    }
}
