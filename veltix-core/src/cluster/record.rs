//! [`Record`]: one thing that a node tells others; and [`FrameRecord`]: a message for their peers.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::ids::{NodeId, PeerRef};
use crate::delivery::DeliveryClass;
use crate::frame::{Frame, Header, checksum};
use crate::limits::{CLUSTER_EXCEPT, CLUSTER_TARGET_LEN, HEADER_LEN};
use crate::message::Message;
use crate::tags::{PeerId, Target};
use crate::wire::{Read as _, WireError, Write as _, read_within, within};

/// A record in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct Record {
    /// The kind, which tells how the body is read.
    pub kind: RecordKind,
    /// The content.
    pub body: Bytes,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The kind of a record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RecordKind {
            $($(#[$doc])* $name,)*
            /// A kind of a newer release. It is skipped and counted.
            Unknown(u8),
        }

        impl RecordKind {
            pub(super) const fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                    Self::Unknown(number) => number,
                }
            }

            pub(super) const fn of_number(number: u8) -> Self {
                match number {
                    $($number => Self::$name,)*
                    unknown => Self::Unknown(unknown),
                }
            }
        }
    };
}

impl RecordKind {
    /// Returns whether the record tells of its node, and not of peers.
    #[must_use]
    pub const fn is_of_node(self) -> bool {
        use RecordKind::{Bye, Heartbeat, Hello, Interest, Sync, SyncAsk};
        matches!(self, Hello | Heartbeat | Bye | Interest | SyncAsk | Sync)
    }
}

kinds! {
    /// A message for peers.
    Frame = 1,
    /// A part of a record that is too large for one batch.
    Part = 2,
    /// The first words of a node: its name, its versions and its abilities.
    Hello = 3,
    /// A sign of life, with the last numbers of the node's streams.
    Heartbeat = 4,
    /// The last words of a node.
    Bye = 5,
    /// A change of the tags for which a node has peers.
    Interest = 6,
    /// A question for all tags for which a node has peers.
    SyncAsk = 7,
    /// All tags for which a node has peers.
    Sync = 8,
    /// A question to the node itself, such as a count.
    Ask = 9,
    /// The answer of a node.
    Answer = 10,
    /// Requests to peers.
    Call = 11,
    /// The peers to which a node has passed a call on.
    Roster = 12,
    /// The answer of a peer.
    Reply = 13,
    /// The end of a call that needs no more answers.
    Cancel = 14,
    /// The begin of a watch.
    Watch = 15,
    /// The end of a watch.
    Unwatch = 16,
    /// Changes that a watch has seen.
    Diff = 17,
}

/// A message for the peers that a target matches.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct FrameRecord {
    /// The class, with which each receiving node treats peers without room.
    pub class: DeliveryClass,
    /// The peers that the message is for.
    pub target: Target,
    /// Peers that do not receive the message.
    pub except: Vec<PeerRef>,
    /// The message, with its checksum.
    pub message: Message,
}

impl FrameRecord {
    /// Returns the record of a frame of the node `origin`, without a copy of its body in between.
    ///
    /// # Errors
    /// Returns [`WireError::TooLong`] if the target, the list of exceptions or the key of the class is
    /// over its limit.
    pub fn encode(
        origin: NodeId,
        target: &Target,
        except: &[PeerRef],
        frame: &Frame,
    ) -> Result<Record, WireError> {
        let mut out = BytesMut::new();
        frame.class().encode(origin.value(), &mut out)?;
        write_target(target, &mut out)?;
        write_except(except, &mut out)?;
        frame.write_to(&mut out);
        Ok(Record { kind: RecordKind::Frame, body: out.freeze() })
    }

    /// Reads the body of such a record. The message shares the memory of the bytes.
    ///
    /// # Errors
    /// Returns [`WireError`] if the record is damaged, over a limit, or of a newer release.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let class = DeliveryClass::decode(&mut bytes)?;
        let target = read_target(&mut bytes)?;
        let except = read_except(&mut bytes)?;
        Ok(Self { class, target, except, message: read_message(bytes)? })
    }
}

/// Writes a target within its limit.
pub(super) fn write_target(target: &Target, out: &mut BytesMut) -> Result<(), WireError> {
    let begin = out.len();
    target.encode(out);
    within("target", out.len() - begin, CLUSTER_TARGET_LEN)
}

/// Reads a target within its limit.
pub(super) fn read_target(bytes: &mut Bytes) -> Result<Target, WireError> {
    read_within(bytes, "target", CLUSTER_TARGET_LEN, Target::decode)
}

/// Writes the list of excepted peers within its limit.
pub(super) fn write_except(except: &[PeerRef], out: &mut BytesMut) -> Result<(), WireError> {
    within("list of excepted peers", except.len(), CLUSTER_EXCEPT)?;
    out.write_count(except.len());
    for peer in except {
        out.put_u64(peer.node.value());
        out.put_u64(peer.peer.value());
    }
    Ok(())
}

/// Reads the list of excepted peers within its limit.
pub(super) fn read_except(bytes: &mut Bytes) -> Result<Vec<PeerRef>, WireError> {
    let excepted = bytes.read_count(16)?;
    within("list of excepted peers", excepted, CLUSTER_EXCEPT)?;
    let mut except = Vec::with_capacity(excepted);
    for _ in 0..excepted {
        let node = NodeId::read(bytes)?;
        except.push(PeerRef { node, peer: PeerId::new(bytes.read_u64()?) });
    }
    Ok(except)
}

/// Reads a frame that takes all of these bytes.
pub(super) fn read_message(mut bytes: Bytes) -> Result<Message, WireError> {
    let header = Header::parse(&bytes).ok().flatten().ok_or(WireError::BadFrame)?;
    let body = bytes.split_off(HEADER_LEN);
    if header.length as usize != body.len() || header.checksum != checksum(&body) {
        return Err(WireError::BadFrame);
    }
    Ok(Message::received(header.code, header.id, header.checksum, body))
}
