//! [`NodeId`] and [`PeerRef`]: the names of nodes and of their peers.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::tags::PeerId;
use crate::wire::{Read as _, WireError};

/// Identifies a running node. It is chosen at random when the node starts, so a restarted process is a
/// new node. The text form has 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u64);

impl NodeId {
    /// Creates the id with this number. Zero means all nodes on the wire, so that it names no node.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if value == 0 { None } else { Some(Self(value)) }
    }

    /// Creates the id of a node that starts, from a random number.
    #[must_use]
    pub const fn of_random(number: u64) -> Self {
        // Zero would mean all nodes.
        Self(if number == 0 { u64::MAX } else { number })
    }

    /// Returns the number.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl NodeId {
    /// Reads the id of one node off the front of the bytes.
    pub(super) fn read(bytes: &mut Bytes) -> Result<Self, WireError> {
        Self::new(bytes.read_u64()?).ok_or(WireError::UnknownKind { what: "node", kind: 0 })
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = UnknownRef;

    /// Reads 16 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, UnknownRef> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(UnknownRef);
        }
        u64::from_str_radix(text, 16).ok().and_then(Self::new).ok_or(UnknownRef)
    }
}

/// Names a peer in the cluster. It is never used again for another peer, because a [`NodeId`] is random
/// for each start. The text form is that of the node, a hyphen, and the number of the peer:
/// `5f3a09c41b22d817-42`.
///
/// ```
/// use veltix::cluster::PeerRef;
///
/// let peer: PeerRef = "5f3a09c41b22d817-42".parse()?;
/// assert_eq!((peer.peer.value(), peer.to_string().as_str()), (42, "5f3a09c41b22d817-42"));
/// # Ok::<(), veltix::cluster::UnknownRef>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs, reason = "a name has two parts")]
pub struct PeerRef {
    /// The node to which the peer is connected.
    pub node: NodeId,
    /// The peer's id on that node.
    pub peer: PeerId,
}

/// The text is not the name of a node or of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a node is 16 hexadecimal digits, and a peer is its node, `-`, and its number: 5f3a09c41b22d817-42"
)]
#[non_exhaustive]
pub struct UnknownRef;

impl fmt::Display for PeerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.node, self.peer)
    }
}

impl FromStr for PeerRef {
    type Err = UnknownRef;

    fn from_str(text: &str) -> Result<Self, UnknownRef> {
        let (node, peer) = text.split_once('-').ok_or(UnknownRef)?;
        let number: u64 = peer.parse().map_err(|_| UnknownRef)?;
        // A sign or leading zeros would be a second name of the same peer.
        if number.to_string() != peer {
            return Err(UnknownRef);
        }
        Ok(Self { node: node.parse()?, peer: PeerId::new(number) })
    }
}

macro_rules! serialize_as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

serialize_as_text!(NodeId, PeerRef);
