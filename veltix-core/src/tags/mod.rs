//! Tags and targets: peers have tags, which are names with values, and a target selects peers by
//! their tags.
//!
//! The store answers from an index, so a message to one room among ten thousand peers costs what
//! the room costs.

mod bits;
#[cfg(feature = "cluster")]
mod codec;
mod expression;
mod index;
#[cfg(feature = "cluster")]
mod interest;
#[cfg(test)]
mod model;
mod number;
mod peer_id;
mod peer_tags;
mod plan;
mod query;
mod set;
mod store;
mod stored;
mod tag;
mod target;
#[cfg(test)]
mod tests;
mod value;
mod value_table;
mod view;
mod watch;

#[cfg(feature = "cluster")]
pub use interest::{HashedTarget, InterestChange, InterestUpdate, TagHash};
pub use number::TagNumber;
pub use peer_id::PeerId;
pub use query::ParseTargetError;
pub use store::{TagLimits, TagStore};
pub use tag::Tag;
pub use target::{TagTarget, Target, all, nobody, peers, tag};
pub use value::TagValue;
#[cfg(feature = "cluster")]
pub use watch::MergedGroups;
pub use watch::{Group, GroupStep, Member, WatchId, WatchStep};
