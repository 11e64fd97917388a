//! Questions to the nodes of a cluster, and changes of their peers.

mod change;
mod count;
mod get;
mod list;

use std::sync::Arc;

use veltix_core::TargetError;
use veltix_core::limits::{CLUSTER_NAMES, TAG_NAME_LEN};

pub use change::Change;
pub use count::{Count, CountPerNode};
pub use get::Get;
pub use list::List;

/// Adds names of tags, each of them once. A name that no tag can have is left out.
pub(crate) fn add_names(names: &mut Vec<Arc<str>>, more: impl IntoIterator<Item: AsRef<str>>) {
    for name in more {
        let name = name.as_ref();
        if (1..=TAG_NAME_LEN).contains(&name.len()) {
            names.push(name.into());
        }
    }
    names.sort_unstable();
    names.dedup();
}

/// Checks that the other nodes read a question for these names.
pub(crate) const fn check_names(names: &[Arc<str>]) -> Result<(), TargetError> {
    let (what, length, limit) = ("list of names of tags", names.len(), CLUSTER_NAMES);
    if length > limit { Err(TargetError::TooLong { what, length, limit }) } else { Ok(()) }
}
