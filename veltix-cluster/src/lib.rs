//! Several Veltix servers as one service. Applications use this crate as the module `veltix::cluster`, which
//! explains it.
//!
//! A *node* is one running server. The nodes of a cluster send each other the messages for their peers
//! through an engine. `Nats` (feature `nats`) is the engine over a NATS server, and [`Backplane`] is the
//! trait for others.

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
