//! [`BindError`]: a server that could not be bound.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::ConfigError;

/// The reason why a server could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket listens on this address.
    #[error(
        "{addr} is in use: stop the other server, or bind another port (port 0 lets the system choose)"
    )]
    AddressInUse {
        /// The address.
        addr: String,
        /// The error of the system.
        source: io::Error,
    },
    /// Another server listens at this path of a Unix socket.
    #[error("another server listens at {}: stop it, or bind another path", path.display())]
    SocketInUse {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Another kind of file exists at the path of the Unix socket. The file stays as it is.
    #[error(
        "{} exists and is not a socket: remove it, or bind another path", path.display()
    )]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The path is not valid for a Unix socket.
    #[error(
        "a Unix socket cannot be at {}: choose a shorter path (at most 107 bytes on Linux, 103 on macOS and the BSDs)", path.display()
    )]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// The reason why the path is not valid.
        source: io::Error,
    },
    /// The system refused the address for another reason.
    #[error("{addr} cannot be bound: check the address, and whether this user may bind it")]
    Io {
        /// The address.
        addr: String,
        /// The error of the system.
        source: io::Error,
    },
    /// No Tokio runtime surrounds the call.
    #[error(
        "no Tokio runtime drives the server: bind and run it inside one, as `#[tokio::main]` does"
    )]
    NoRuntime,
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
}
