//! The handshake of both sides, as state machines over bytes.
//!
//! The server sends first. Each message is a `u16` length and a JSON object of that length in
//! bytes. The messages are the server's hello, the client's hello, and the server's `{"result":
//! "ok"}`. Bytes after the last message stay in the buffer, because they belong to the first frame.

mod client;
mod hello;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use self::client::{ClientHandshake, ClientStep};
pub use self::hello::Hello;
pub use self::server::ServerHandshake;
