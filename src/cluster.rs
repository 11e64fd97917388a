//! Several servers as one service: the nodes of a cluster, and the calls that ask all of them.
//!
//! A *node* is one running server. The nodes of a cluster send each other the messages for their peers
//! through an engine. `Nats` (feature `cluster-nats`) is the engine over a NATS server, and [`Backplane`] is the
//! trait for others.
//!
#![cfg_attr(feature = "cluster-nats", doc = "```no_run")]
#![cfg_attr(not(feature = "cluster-nats"), doc = "```ignore")]
//! use veltix::cluster::{Cluster, Nats};
//! use veltix::{MessageType, Router, Server, ServerConfig, TargetError, all};
//!
//! const COUNT: MessageType = MessageType::new(200, "count", "");
//!
//! async fn count(cluster: Cluster) -> Result<String, TargetError> {
//!     let peers = cluster.count(all()).await?; // it asks every node
//!     Ok(format!("{} peers, of all nodes: {}", peers.value, peers.is_complete()))
//! }
//!
//! # async fn f() -> veltix::Result<()> {
//! let nats = Nats::connect("nats://127.0.0.1:4222", "chat").await?; // the NATS server, and the cluster's name
//! let server = Server::bind(ServerConfig::default(), Router::new().route(COUNT, count)).await?;
//! server.cluster(nats).run().await
//! # }
//! ```
//!
//! [`Hub::broadcast`](crate::Hub::broadcast) and [`Hub::to`](crate::Hub::to) reach the peers of all nodes. Calls of
//! the hub that give an answer, such as [`Hub::count`](crate::Hub::count), speak of this node alone, and their twins
//! on [`Cluster`] of all nodes. Without an engine, a [`Cluster`] has this one node.
//!
//! | item | purpose |
//! |---|---|
//! | `Nats`, `NatsConfig`, `ConnectError` | the connection to a NATS server (feature `cluster-nats`) |
//! | [`ClusterConfig`] | the settings of a node: its name, and times |
//! | [`Cluster`] | the handle: counts, lists, tags, closes and calls peers of all nodes |
//! | [`Gathered`], [`Missing`] | the answer of several nodes, and the nodes that are missing in it |
//! | [`PeerRef`], [`ClusterPeer`] | a peer of any node |
//! | [`ClusterWatch`], [`ClusterGroupWatch`] | streams of the peers or users of all nodes that enter and leave |
//! | [`ClusterStatus`], [`ClusterEvent`], [`ClusterStats`] | the connection, the other nodes, and the counters |
//! | [`Backplane`], `Memory` | an engine of your own, and the one in memory (feature `testing`) |
//!
//! # The NATS server
//!
//! - Its version is 2.2 or newer. Its `write_deadline` should be `"2s"`, so that a node that has stopped reading
//!   does not delay the others for longer.
//! - A node publishes and subscribes below `vx.<name>.`. Its login needs the permission for `vx.<name>.>`, and no
//!   other. A login that lacks it is an error at the start, and later a reason in [`ClusterStatus`].
//! - Everybody who may publish there is trusted like a node: see SECURITY.md.
//! - If it is lost, each node serves its own peers and connects again: at a random moment of the next second, and
//!   about once a second from then on. A dead server is noticed at once, and a hung one within seven seconds.
//! - Several servers of one NATS cluster are named in one URL, with commas between them.
//!
//! The page [clusters](mod@crate::_guide::cluster) has the guarantees, the failures and the settings.

#[cfg(feature = "cluster-nats")]
#[doc(no_inline)]
pub use veltix_cluster::rustls;
pub use veltix_cluster::{
    Backplane, Change, Cluster, ClusterBroadcast, ClusterConfig, ClusterConfigError, ClusterEvent,
    ClusterEventStream, ClusterGroupWatch, ClusterGroupWatchBuilder, ClusterInbox, ClusterPeer,
    ClusterRequest, ClusterResponses, ClusterShutdown, ClusterStats, ClusterStatus, ClusterSurvey,
    ClusterWatch, ClusterWatchBuilder, Count, CountPerNode, Destination, DropReason, EngineState,
    Gathered, Get, Joining, LeaveReason, List, Member, Missing, NodeDelivery, NodeError, NodeId,
    NodeInfo, NodeStats, Partial, PeerRef, PublishError, ReceivedRecords, ScopedBroadcast,
    SentRecords, StartError, UnknownRef, WatchError, WatchEvent,
};
#[cfg(feature = "cluster-nats")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster-nats")))]
pub use veltix_cluster::{ConnectError, Nats, NatsConfig};
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use veltix_cluster::{Memory, MemoryNetwork};
