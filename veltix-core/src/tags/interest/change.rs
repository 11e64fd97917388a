//! [`InterestUpdate`]: the changes of the tags that admitted peers hold.

use super::hash::TagHash;

/// A change of the tags that admitted peers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the reader must handle every case")]
pub enum InterestChange {
    /// A tag with this hash has its first holder.
    Added(TagHash),
    /// All tags with this hash have lost their last holder.
    Removed(TagHash),
}

impl InterestChange {
    /// Returns whether one change takes the other one back.
    pub(super) fn undoes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Added(one), Self::Removed(two)) | (Self::Removed(one), Self::Added(two)) => {
                one == two
            }
            _ => false,
        }
    }
}

/// The difference to the last update.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the reader must handle every case")]
pub enum InterestUpdate {
    /// These changes have happened, in this order. The list is empty if there were none.
    Changes(Vec<InterestChange>),
    /// Exactly these hashes have holders, in ascending order. It is the first update, and the one after too
    /// many changes, or after [`Everything`](Self::Everything).
    Reset(Vec<TagHash>),
    /// More tags have holders than a node tells. Other updates follow once they are half as many.
    Everything,
}
