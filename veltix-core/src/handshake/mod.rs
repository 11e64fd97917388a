//! The handshake of both sides, as state machines over bytes.
//!
//! The server speaks first. Each message is a `u16` length and that many bytes of a JSON object:
//! the server's hello, the client's hello, the server's `{"result": "ok"}`. Bytes behind the last
//! message are left in the buffer: they belong to the first frame.

mod client;
mod hello;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use self::client::{ClientHandshake, ClientStep};
pub use self::hello::Hello;
pub use self::server::ServerHandshake;
