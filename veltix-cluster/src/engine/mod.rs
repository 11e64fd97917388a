//! The engines.

#[cfg(feature = "memory")]
pub(crate) mod memory;
