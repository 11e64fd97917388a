//! [`Subjects`]: the subjects of a cluster.

use std::sync::Arc;

use async_nats::Subject;
use veltix_core::cluster::NodeId;

/// The subjects of a cluster, below `vx.<name>.1`. A node needs the permission to publish and to subscribe
/// `vx.<name>.>`, and no other.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    prefix: Arc<str>,
}

/// The meaning of a subject on which this node has received a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A batch of this node.
    Direct,
    /// The answer that nobody listens: the batch to this node that began with this number has reached
    /// nobody.
    Unreachable(NodeId, u64),
    /// Something that no node sends.
    Foreign,
}

impl Subjects {
    /// Takes the name of a cluster, which was checked.
    pub(super) fn new(name: &str) -> Self {
        Self { prefix: format!("vx.{name}.1").into() }
    }

    /// Returns the subject of batches to all nodes.
    pub(super) fn all(&self) -> Subject {
        format!("{}.all", self.prefix).into()
    }

    /// Returns the subject of everything for one node.
    pub(super) fn to_me(&self, me: NodeId) -> Subject {
        format!("{}.n.{me}.>", self.prefix).into()
    }

    /// Returns the subject of batches of this node to another one.
    pub(super) fn to(&self, node: NodeId, me: NodeId) -> Subject {
        format!("{}.n.{node}.{me}", self.prefix).into()
    }

    /// Returns the subject of the answer that nobody listens.
    pub(super) fn unreachable(&self, me: NodeId, node: NodeId, first: u64) -> Subject {
        format!("{}.n.{me}.{node}.{first}", self.prefix).into()
    }
}

impl Heard {
    /// Reads a subject below that of this node.
    pub(super) fn of(subject: &str) -> Self {
        let mut tokens = subject.split('.').skip(5);
        let node = tokens.next().and_then(|node| node.parse().ok());
        match (node, tokens.next().map(str::parse), tokens.next()) {
            (Some(_), None, _) => Self::Direct,
            (Some(node), Some(Ok(first)), None) => Self::Unreachable(node, first),
            _ => Self::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_back() {
        let [me, other] = [1, 2].map(|id| NodeId::new(id).unwrap());
        let subjects = Subjects::new("chat");
        assert_eq!(subjects.all().as_str(), "vx.chat.1.all");
        assert_eq!(subjects.to_me(me).as_str(), "vx.chat.1.n.0000000000000001.>");
        assert_eq!(Heard::of(&subjects.to(me, other)), Heard::Direct);
        assert_eq!(Heard::of(&subjects.unreachable(me, other, 77)), Heard::Unreachable(other, 77));
        for subject in
            ["vx.chat.1.n.0000000000000001", "vx.chat.1.n.1.2", "vx", "", "vx.chat.1.n.a.b.c.d"]
        {
            assert_eq!(Heard::of(subject), Heard::Foreign, "{subject}");
        }
    }
}
