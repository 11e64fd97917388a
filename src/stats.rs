//! Counters of messages, per connection and per message type.
//!
//! ```
//! use veltix::{Hub, Peer};
//!
//! fn report(hub: &Hub, peer: &Peer) {
//!     let stats = peer.stats();
//!     println!("{} of {} frames written", stats.sent.written, stats.sent.accepted);
//!     println!("{} of {} messages handled", stats.received.handled, stats.received.received);
//!     for dropped in hub.dropped() {
//!         println!("code {}: {} frames dropped", dropped.code, dropped.total());
//!     }
//! }
//! # let _ = report;
//! ```
//!
//! The counters add up exactly: `accepted = written + dropped + queued` in [`Sent`] and
//! `received = handled + rejected + discarded + waiting` in [`Received`].

pub use veltix_tokio::{Dropped, PeerStats, Received, Sent};
