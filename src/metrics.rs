//! The metrics of a server, for exporters and for decisions of an application.
//!
//! [`Hub::metrics`](crate::Hub::metrics) returns a snapshot of all that the server has counted. It is made when
//! it is read: no metric is pushed, and no timer runs. The module `veltix::inspect` (feature `inspect`) shows it
//! to Prometheus.
//!
//! ```
//! use veltix::metrics::Value;
//!
//! fn is_busy(hub: &veltix::Hub) -> bool {
//!     let queued = hub.metrics().get("veltix_queued_bytes", &[]);
//!     matches!(queued, Some(Value::Gauge(bytes)) if bytes > 64e6)
//! }
//! # let _ = is_busy;
//! ```
//!
//! Each counter only grows, also when peers leave. Sums hold for them as for one peer: frames
//! `accepted = written + dropped + queued`, see [`Sent`](crate::stats::Sent).

pub use veltix_tokio::metrics::{Buckets, Distribution, Family, Metrics, Series, Unit, Value};
