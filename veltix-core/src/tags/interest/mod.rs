//! The tags that admitted peers hold, by their hashes: the other nodes of a cluster are told them.

mod change;
mod hash;
mod hashed_target;
mod held;

pub use self::change::{InterestChange, InterestUpdate};
pub use self::hash::TagHash;
pub use self::hashed_target::HashedTarget;
pub(super) use self::held::HeldTags;
