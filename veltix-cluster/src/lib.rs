//! Several Veltix servers as one service.
//!
//! A *node* is one running server. The nodes of a cluster send each other the messages for their peers
//! through an engine, which a [`Backplane`] drives. Applications use the `veltix` crate, which has the
//! documentation.

mod backplane;
mod cluster;
mod config;
mod count;
mod engine;
mod error;
mod events;
mod gathered;
mod joining;
mod list;
mod member;
mod node;

pub use backplane::{Backplane, ClusterInbox, Destination, EngineState};
pub use cluster::Cluster;
pub use config::ClusterConfig;
pub use count::Count;
#[cfg(feature = "memory")]
pub use engine::memory::{Memory, MemoryNetwork};
#[cfg(feature = "nats")]
pub use engine::nats::{Nats, NatsConfig};
#[cfg(feature = "nats")]
pub use error::ConnectError;
pub use error::{PublishError, StartError};
pub use events::{ClusterEvent, ClusterEventStream};
pub use gathered::{Gathered, Missing, Partial};
pub use joining::Joining;
pub use list::List;
pub use member::Member;
pub use node::NodeInfo;
pub use veltix_core::cluster::{LeaveReason, NodeId, PeerRef};
