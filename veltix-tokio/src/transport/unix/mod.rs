//! Unix sockets: TCP without the network, for processes of one machine.
//!
//! The addresses are there on every system, so that a `match` over them needs no `cfg`.

mod addr;
#[cfg(unix)]
mod file;
#[cfg(unix)]
mod socket;

pub use addr::{UnixAddr, UnixCredentials};
#[cfg(unix)]
pub use socket::{UnixSocketConnector, UnixSocketListener};
