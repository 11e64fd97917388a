//! [`Order`]: what a test has a node do.

use serde::{Deserialize, Serialize};

/// The settings of a node, which are its only argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The number of the node in its messages.
    pub number: u16,
    /// The name of the node.
    pub name: String,
    /// The URLs of the NATS servers.
    pub broker: String,
    /// The address for clients.
    pub addr: String,
    /// Starts without a broker too.
    pub optional: bool,
    /// The time over which clients connect again after a drain, in milliseconds.
    pub reconnect_spread: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            number: 0,
            name: String::new(),
            broker: String::new(),
            addr: "127.0.0.1:0".to_owned(),
            optional: false,
            reconnect_spread: 3_000,
        }
    }
}

/// A set of peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Place {
    /// All peers.
    Everywhere,
    /// The peers in a room.
    Room(String),
}

/// Messages, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// The messages of a second.
    pub rate: u64,
    /// The number of messages, after which the load ends.
    pub count: u64,
    /// The room of every second message. The others, or all without a room, are for all peers.
    pub room: Option<String>,
    /// The length of the body of each.
    pub length: usize,
}

/// An order to a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Answers with a [`State`](crate::State).
    State,
    /// Sends messages. Answers with a [`LoadReport`](crate::LoadReport) at the end.
    Load(Load),
    /// Ends all loads.
    EndLoads,
    /// Sends one message of this length. Answers with a [`Sent`](crate::Sent).
    Send {
        /// Its receivers.
        to: Place,
        /// The length of its body.
        length: usize,
    },
    /// Sends a message to each room with this name and a number behind it. Answers with a [`Sent`](crate::Sent)
    /// of the sums. Each message has the number of its room.
    SendEach {
        /// The name before the number.
        room: String,
        /// The number of rooms.
        rooms: u64,
    },
    /// Counts the peers of all nodes. Answers with a [`Counted`](crate::Counted).
    Count(Place),
    /// Asks a peer of any node, within this time in milliseconds. Answers with a [`Call`](crate::Call).
    Request {
        /// The peer.
        peer: String,
        /// The time.
        timeout: u64,
    },
    /// Asks the peers of all nodes in a room, within this time in milliseconds. Answers with a
    /// [`Surveyed`](crate::Surveyed).
    Survey {
        /// The room.
        room: String,
        /// The time.
        timeout: u64,
    },
    /// Watches the peers in a room, or the groups of their tag `user` with this grace in milliseconds. The news
    /// are [`Watched`](crate::Watched).
    Watch {
        /// The room.
        room: String,
        /// The grace, for groups.
        grace: Option<u64>,
    },
    /// Answers with the names of the peers of this node.
    Peers,
    /// Drains and ends.
    Drain,
}
