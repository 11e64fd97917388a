//! Futures that methods return.
//!
//! Most programs await them at once and never name them. A struct that stores one names its type.
//!
//! ```
//! use veltix::future::Draining;
//! use veltix::{Hub, ShutdownReport};
//!
//! fn stop(hub: &Hub) -> Draining {
//!     hub.shutdown() // the drain begins here
//! }
//!
//! async fn wait(draining: Draining) -> ShutdownReport {
//!     draining.await
//! }
//! # let _ = (stop, wait);
//! ```
//!
//! | future | method |
//! |---|---|
//! | [`Binding`] | [`Server::bind`](crate::Server::bind) |
//! | [`Connecting`] | [`Client::connect`](crate::Client::connect) |
//! | [`Sending`] | [`Peer::send`](crate::Peer::send) |
//! | [`Closing`] | [`Peer::close`](crate::Peer::close) |
//! | [`Leaving`] | [`Peer::closing`](crate::Peer::closing) |
//! | [`TakeOver`] | [`Peer::take_over`](crate::Peer::take_over) |
//! | [`ClosingClient`] | [`Client::close`](crate::Client::close) |
//! | [`Draining`] | [`Hub::shutdown`](crate::Hub::shutdown) |
//!
//! Requests, pings and surveys are in [`request`](crate::request).

pub use veltix_tokio::{
    Binding, Closing, ClosingClient, Connecting, Draining, Leaving, Sending, TakeOver,
    TakeOverError,
};
