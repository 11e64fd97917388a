//! The nodes of a cluster: the batches that they send to each other, and their states as functions of the
//! current time.
//!
//! A *node* is one running server. A *record* is one thing that a node tells others. A *batch* is one
//! message of the engine between the nodes, with records. Nothing here does IO: `veltix-cluster` is the
//! caller.

mod ask;
mod batch;
mod call;
mod change;
mod freshness;
#[cfg(test)]
mod hostile;
mod ids;
mod interest;
mod members;
mod part;
mod record;
mod status;
mod stream;
#[cfg(test)]
mod tests;
mod watching;

pub use ask::{AnswerContent, NodeAnswer, NodeAsk, Question};
pub use batch::{Batch, BatchHead, BatchWriter};
pub use call::{Cancel, NodeCall, PeerOutcome, PeerReply, Roster};
pub use change::Change;
pub use freshness::Freshness;
pub use ids::{NodeId, PeerRef, UnknownRef};
pub use interest::{
    InterestDelta, InterestIn, InterestOut, InterestSet, InterestSnapshot, InterestSyncAsk,
    Recipients,
};
pub use members::{LeaveReason, MemberEvent, Members, MembersDue, Timing};
pub use part::{Assembly, Part};
pub use record::{FrameRecord, Record, RecordKind};
pub use status::NodeStatus;
pub use stream::{InStream, Received};
pub use watching::{DiffContent, DiffStep, NodeWatch, Unwatch, WatchDiff, WatchForm};

pub use crate::tags::MergedGroups;
pub use crate::tags::{HashedTarget, InterestChange, InterestUpdate, TagHash};
pub use crate::wire::WireError;
