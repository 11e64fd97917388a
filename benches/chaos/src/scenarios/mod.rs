//! The functions of the scenarios.

pub(crate) mod broadcasts;
pub(crate) mod clocks;
pub(crate) mod crowd;
pub(crate) mod descriptors;
pub(crate) mod handlers;
pub(crate) mod links;
pub(crate) mod lost;
pub(crate) mod shutdown;
pub(crate) mod soak;
pub(crate) mod stalled;
pub(crate) mod storm;
