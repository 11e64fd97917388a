//! [`ServeError`]: why a running server ended by itself.

use std::io;

use thiserror::Error;

/// The reason why a running server ended by itself.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No Tokio runtime surrounds the call.
    #[error("no Tokio runtime drives the server: run it inside one, as `#[tokio::main]` does")]
    NoRuntime,
    /// The last listener has failed for good, so no peer could connect any more. The server has
    /// drained its connections.
    #[error(
        "{addr} accepts no more connections, and the server has no other listener: bind it again"
    )]
    NoListener {
        /// The address of the last listener.
        addr: String,
        /// The error of the listener.
        source: io::Error,
    },
}
