//! Types of target expressions that programs rarely name.
//!
//! [`tag`](crate::tag) returns a [`TagTarget`]. Its comparisons take a [`TagNumber`].
//!
//! ```
//! use veltix::{Target, tag};
//!
//! fn veterans(level: u32) -> Target {
//!     tag("level").at_least(level) & !tag("muted")
//! }
//!
//! assert_eq!(veterans(5).to_string(), "level >= 5 & !muted");
//! ```
//!
//! [Tags and targets](crate::_guide::targets) are explained in the guide.

pub use veltix_core::{TagNumber, TagTarget};
