//! The user's own derives, attributes and docs are kept, and nothing is derived twice.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The messages of the application.
#[veltix::message]
#[derive(Debug, Clone, PartialOrd, Ord, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
#[repr(u16)]
pub enum App {
    /// A line of chat.
    #[default]
    #[serde(alias = "say")]
    Chat = 200,
    #[deprecated]
    Old = 201u16,
    #[doc(hidden)]
    Secret = (202),
}

#[veltix::message]
#[derive(std::clone::Clone, ::core::marker::Copy, std::fmt::Debug, Hash)]
enum Paths {
    Chat = 200,
}

#[veltix::message]
#[cfg_attr(all(), derive(Debug), derive(Clone))]
#[cfg_attr(any(), derive(Clone), derive(Hash))]
enum Conditional {
    Always = 200,
    #[cfg(all())]
    Here = 201,
    #[cfg(any())]
    Gone = 201,
    #[cfg(any())]
    GoneToo = 202,
}

fn check<T: Copy + Eq + std::hash::Hash + fmt::Debug>(_: T) {}

fn main() {
    assert_eq!(serde_json::to_string(&App::Chat).unwrap(), "\"chat\"");
    assert_eq!(serde_json::from_str::<App>("\"say\"").unwrap(), App::default());
    assert_eq!(App::ALL.len(), 3);
    check(App::Secret);
    check(Paths::Chat);
    check(Conditional::Always);
    assert_eq!(Conditional::ALL, [Conditional::Always, Conditional::Here]);
    assert_eq!(Conditional::try_from(201), Ok(Conditional::Here));
    assert!(Conditional::try_from(202).is_err());
}
