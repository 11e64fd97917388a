//! Several Veltix servers as one service.
//!
//! A *node* is one running server. The nodes of a cluster send each other the messages for their peers
//! through an engine. `Nats` (feature `cluster-nats`) is the engine over a NATS server, and [`Backplane`] is the
//! trait for others. Applications use this crate as the module `veltix::cluster`.
//!
#![cfg_attr(feature = "nats", doc = "```no_run")]
#![cfg_attr(not(feature = "nats"), doc = "```ignore")]
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
//! `Hub::broadcast` and `Hub::to` reach the peers of all nodes. Calls of the hub that give an answer, such as
//! `Hub::count`, speak of this node alone, and their twins on [`Cluster`] of all nodes. Without an engine, a
//! [`Cluster`] has this one node.
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

// The first module, since its macro is in scope in the modules below it.
#[macro_use]
mod fault;

mod asking;
mod backplane;
mod broadcast;
mod cluster;
mod config;
mod engine;
mod error;
mod events;
mod gathered;
mod joining;
mod member;
#[cfg(all(test, feature = "nats"))]
mod nats_server;
mod node;
mod peer;
mod status;
mod survey;
#[cfg(feature = "testing")]
mod testing;
mod watch;

pub use asking::{Change, Count, CountPerNode, Get, List};
pub use backplane::{Backplane, ClusterInbox, Destination, EngineState};
pub use broadcast::ClusterBroadcast;
pub use cluster::Cluster;
pub use config::ClusterConfig;
#[cfg(feature = "memory")]
pub use engine::memory::{Memory, MemoryNetwork};
#[cfg(feature = "nats")]
pub use engine::nats::{Nats, NatsConfig};
#[cfg(feature = "nats")]
pub use error::ConnectError;
pub use error::{ClusterConfigError, NodeError, PublishError, StartError};
pub use events::{ClusterEvent, ClusterEventStream, DropReason};
pub use gathered::{Gathered, Missing, Partial};
pub use joining::Joining;
pub use member::Member;
pub use node::{ClusterStats, NodeInfo, NodeStats, ReceivedRecords, SentRecords};
pub use peer::{ClusterPeer, ClusterRequest};
/// The library for TLS, for the config of [`NatsConfig::tls`].
#[cfg(feature = "nats")]
pub use rustls;
pub use status::ClusterStatus;
pub use survey::{ClusterResponses, ClusterSurvey};
#[cfg(feature = "testing")]
#[doc(hidden)]
pub use testing::TestCluster;
pub use veltix_core::cluster::{LeaveReason, NodeId, PeerRef, UnknownRef};
pub use veltix_tokio::{ClusterShutdown, NodeDelivery, ScopedBroadcast};
pub use watch::{
    ClusterGroupWatch, ClusterGroupWatchBuilder, ClusterWatch, ClusterWatchBuilder, WatchError,
    WatchEvent,
};
