//! Presence: the peers, and the groups of peers such as users, that a target matches.
//!
//! [`Hub::watch`](crate::Hub::watch) begins both. A watch first lists the members or groups, and then
//! reports each change exactly once.
//!
//! ```
//! use std::time::Duration;
//! use veltix::presence::{GroupEvent, WatchEvent};
//! use veltix::{Hub, tag};
//!
//! async fn connections(hub: Hub) -> Result<(), veltix::TargetError> {
//!     let mut lobby = hub.watch(tag("room").is("lobby")).with_tags(["user"]).start()?;
//!     while let Some(event) = lobby.next().await {
//!         if let WatchEvent::Left(member) = event {
//!             println!("a connection of {:?} has left", member.tag("user"));
//!         }
//!     }
//!     Ok(())
//! }
//!
//! async fn users(hub: Hub) -> Result<(), veltix::TargetError> {
//!     let lobby = hub.watch(tag("room").is("lobby"));
//!     let mut users = lobby.by("user").grace(Duration::from_secs(10)).start()?;
//!     while let Some(event) = users.next().await {
//!         if let GroupEvent::Left(group) = event {
//!             println!("{} has been away for 10 s", group.key);
//!         }
//!     }
//!     Ok(())
//! }
//! # let _ = (connections, users);
//! ```
//!
//! | item | purpose |
//! |---|---|
//! | [`WatchBuilder`], [`GroupWatchBuilder`] | a watch that has not started, with its settings |
//! | [`Watch`], [`WatchEvent`], [`Member`] | the peers that a target matches, with the tags that were asked for |
//! | [`GroupWatch`], [`GroupEvent`], [`Group`] | the values that the matching peers have of one tag |
//!
//! [Watches](crate::_guide::targets) are explained in the guide.

pub use veltix_core::{Group, Member};
pub use veltix_tokio::{
    GroupEvent, GroupWatch, GroupWatchBuilder, Watch, WatchBuilder, WatchEvent,
};
