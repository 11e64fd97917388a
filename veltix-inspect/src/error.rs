//! [`InspectError`]: why an inspector does not start.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Reports why an inspector does not start. The server is not affected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The address can be reached from other machines.
    #[error(
        "the inspector does not listen on {addr}, which other machines can reach: use an address of this machine, as in `addr(([127, 0, 0, 1], 8088))`"
    )]
    NotLoopback {
        /// Holds the address.
        addr: SocketAddr,
    },
    /// The address cannot be used.
    #[error("the inspector cannot listen on {addr}: choose another port, or 0 for any free one")]
    Bind {
        /// Holds the address.
        addr: SocketAddr,
        /// Holds the error of the system.
        #[source]
        source: io::Error,
    },
    /// The system gave no thread or no runtime.
    #[error(
        "no thread for the inspector could be started: check the limits of threads and descriptors"
    )]
    Thread(#[source] io::Error),
}
