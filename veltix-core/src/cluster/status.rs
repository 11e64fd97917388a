//! [`NodeStatus`]: the content of a node's hello and of its heartbeats.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::ids::NodeId;
use crate::limits::{CLUSTER_MEMBERS, CLUSTER_NAME_LEN, CLUSTER_REASON_LEN};
use crate::wire::{Read as _, WireError, Write as _, within};

/// The state of a node, as it tells it to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is the wire format")]
pub struct NodeStatus {
    /// The name of the node, for people. It need not be unique.
    pub name: Arc<str>,
    /// The versions of the format that the node reads.
    pub wire: RangeInclusive<u8>,
    /// The abilities of the node, one bit each.
    pub capabilities: u64,
    /// The fingerprint of the registered message types.
    pub types: u64,
    /// The number of connected peers.
    pub peers: u64,
    /// The version of the node's interest.
    pub interest: u64,
    /// The last number of the node's stream to all nodes.
    pub all: u64,
    /// The last number of the node's stream to each other node.
    pub direct: Vec<(NodeId, u64)>,
}

impl NodeStatus {
    /// Returns the body of a hello or heartbeat. A name over the limit is cut at a character.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(*self.wire.start());
        out.put_u8(*self.wire.end());
        out.put_u64(self.capabilities);
        out.put_u64(self.types);
        out.put_u64(self.peers);
        out.put_u64(self.interest);
        out.put_u64(self.all);
        out.write_text(cut(&self.name, CLUSTER_NAME_LEN));
        let direct = &self.direct[..self.direct.len().min(CLUSTER_MEMBERS)];
        out.write_count(direct.len());
        for (node, last) in direct {
            out.put_u64(node.value());
            out.put_u64(*last);
        }
        out.freeze()
    }

    /// Reads a body. Bytes behind it are ignored, so that later releases can add fields.
    ///
    /// # Errors
    /// Returns [`WireError`] if the body is damaged or over a limit.
    pub fn decode(mut bytes: Bytes) -> Result<Self, WireError> {
        let wire = bytes.read_u8()?..=bytes.read_u8()?;
        let (capabilities, types) = (bytes.read_u64()?, bytes.read_u64()?);
        let (peers, interest, all) = (bytes.read_u64()?, bytes.read_u64()?, bytes.read_u64()?);
        let name = bytes.read_text()?;
        within("name of a node", name.len(), CLUSTER_NAME_LEN)?;
        let streams = bytes.read_count(16)?;
        within("list of streams", streams, CLUSTER_MEMBERS)?;
        let mut direct = Vec::with_capacity(streams);
        for _ in 0..streams {
            let node = NodeId::read(&mut bytes)?;
            direct.push((node, bytes.read_u64()?));
        }
        Ok(Self { name, wire, capabilities, types, peers, interest, all, direct })
    }

    /// Returns the newest version that both this node and one that reads `other` read.
    #[must_use]
    pub fn common_wire(&self, other: &RangeInclusive<u8>) -> Option<u8> {
        let newest = *self.wire.end().min(other.end());
        let oldest = *self.wire.start().max(other.start());
        (oldest <= newest).then_some(newest)
    }

    /// Returns the last number of the node's stream to this node.
    #[must_use]
    pub fn direct_to(&self, node: NodeId) -> Option<u64> {
        self.direct.iter().find(|(to, _)| *to == node).map(|(_, last)| *last)
    }
}

/// Returns the text, cut at a character to at most `limit` bytes.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Reads the reason for which a node or a peer refuses something. A reason over the limit is cut: each call and
/// watch keeps one.
pub(super) fn read_reason(bytes: &mut Bytes) -> Result<Arc<str>, WireError> {
    let reason = bytes.read_text()?;
    let cut = cut(&reason, CLUSTER_REASON_LEN);
    Ok(if cut.len() < reason.len() { cut.into() } else { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(
            (cut("abc", 5), cut("abc", 2), cut("aé", 2), cut("é", 0)),
            ("abc", "ab", "a", "")
        );
    }
}
