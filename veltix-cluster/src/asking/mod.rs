//! Questions to the nodes of a cluster, and changes of their peers.

mod change;
mod count;
mod get;
mod list;

pub use change::Change;
pub use count::{Count, CountPerNode};
pub use get::Get;
pub use list::List;
