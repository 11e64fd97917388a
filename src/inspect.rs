//! Metrics and health checks of a server over HTTP.
//!
//! ```no_run
//! use veltix::inspect::Inspector;
//! use veltix::{Router, Server, ServerConfig};
//!
//! # async fn f(router: Router) -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind(ServerConfig::default(), router).await?;
//! Inspector::new(server.hub()).start().await?; // http://127.0.0.1:8088/metrics
//! server.run().await?;
//! # Ok(()) }
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `/metrics` | the metrics of the server and of the process as text for Prometheus, or as `OpenMetrics` |
//! | `/livez` | 200 if the runtime of the application runs an empty task within 2 s, otherwise 503 |
//! | `/readyz` | 200 if the server takes peers; otherwise 503 and the reasons: `not_running`, `draining`, `full` |
//!
//! # Security
//!
//! The inspector listens on this machine alone, reads, and changes nothing. A request for `/metrics` is answered if its
//! `Host` is an address or `localhost`: a page of another site can have a browser send requests to this machine, but only
//! under a name. At most 64 connections are served, 8 of one address, each for at most 60 s; a head has 16 KiB, 64 fields
//! and 5 s.

pub use veltix_inspect::{Exposition, InspectError, Inspecting, Inspector, expose};
