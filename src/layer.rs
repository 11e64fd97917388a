//! Types for authors of `tower` layers around handlers.
//!
//! A layer wraps a [`MessageService`]. Its own service receives an [`Inbound`] and returns an optional
//! [`Reply`](crate::Reply).
//!
//! ```
//! use std::task::{Context, Poll};
//!
//! use tower::{Service, layer::layer_fn};
//! use veltix::layer::{Inbound, MessageService};
//! use veltix::{Router, Text};
//!
//! /// Prints the peer and the size of each message.
//! #[derive(Clone)]
//! struct Log(MessageService);
//!
//! impl Service<Inbound> for Log {
//!     type Response = <MessageService as Service<Inbound>>::Response;
//!     type Error = <MessageService as Service<Inbound>>::Error;
//!     type Future = <MessageService as Service<Inbound>>::Future;
//!
//!     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
//!         self.0.poll_ready(cx)
//!     }
//!
//!     fn call(&mut self, inbound: Inbound) -> Self::Future {
//!         println!("{}: {} bytes", inbound.peer(), inbound.message().body().len());
//!         self.0.call(inbound)
//!     }
//! }
//!
//! let router: Router = Router::new().fallback(|Text(text): Text| text).layer(layer_fn(Log));
//! ```
//!
//! [`Router::layer`](crate::Router::layer) accepts every service that implements [`InboundService`]. This
//! trait follows from tower's `Service`.

pub use veltix_tokio::{Inbound, InboundService, MessageService};
