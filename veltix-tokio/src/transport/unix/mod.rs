//! Unix sockets: streams between processes of one machine, without the network.
//!
//! The addresses exist on every system, so that a `match` on them needs no `cfg`.

mod addr;
#[cfg(unix)]
mod file;
#[cfg(unix)]
mod socket;

pub use addr::{UnixAddr, UnixCredentials};
#[cfg(unix)]
pub use socket::{UnixSocketConnector, UnixSocketListener};
