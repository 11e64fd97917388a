//! The interest of nodes: the tags that their peers hold, by which a sender finds the nodes that a message is
//! for.
//!
//! A node tells the others the hashes ([`TagHash`](crate::cluster::TagHash)) of the names, and of the pairs of
//! a name and a value, that at least one of its admitted peers holds. Each version of this set differs from the
//! one before it by one record. Others that have missed a record ask for the whole set, and assume until then
//! that the node needs every message.
//!
//! # The sending side
//! The store reports changes, and [`InterestOut`] makes records of them:
//! 1. At the start: `TagStore::track_interest`, and `InterestOut::new`.
//! 2. After each change of the store, under its lock: if `TagStore::take_interest_wake`, wake the publisher.
//! 3. The publisher, before it takes records from its queue, so that a join is told before anything that the
//!    node says later: `InterestOut::apply` with `TagStore::take_interest` (the lock ends before), and then
//!    each record of `InterestOut::next`, until it returns `None`. The same at `InterestOut::deadline`.
//! 4. For each received [`SyncAsk`](super::RecordKind::SyncAsk): if `InterestIn::take_question`,
//!    `InterestOut::ask`, and wake the publisher.
//! 5. `InterestOut::version` is the field `interest` of each hello and heartbeat. It is read in the order of the
//!    records: one that was read before a change and is sent behind it would hide the loss of the change.
//!
//! # The receiving side
//! One [`InterestIn`] for each member. The receive task calls, in the order of the records and not behind data:
//! 1. `InterestIn::hear` for the field `interest` of a hello or heartbeat.
//! 2. `InterestIn::delta` and `InterestIn::sync` for the records of these kinds.
//! 3. `InterestIn::lost` if records are missing in the node's stream to all nodes, before the next record.
//! 4. At `InterestIn::deadline`, and after the calls above: if `InterestIn::take_ask`, send an
//!    [`InterestSyncAsk`] to this node alone.
//!
//! A send hashes its target once with [`HashedTarget`](crate::cluster::HashedTarget), and finds its [`Recipients`]. The
//! target is the one of the record, which `Target::elsewhere` has made: ids of peers match nobody elsewhere.

mod hashes;
mod incoming;
mod outgoing;
mod recipients;
mod record;
mod set;
#[cfg(test)]
mod tests;

pub use self::incoming::InterestIn;
pub use self::outgoing::InterestOut;
pub use self::recipients::Recipients;
pub use self::record::{InterestDelta, InterestSnapshot, InterestSyncAsk};
pub use self::set::InterestSet;
