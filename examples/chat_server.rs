//! A chat server with rooms, for Rust and Python clients alike.
//!
//! Run it with `cargo run --example chat_server`; it listens on `VELTIX_ADDR`, by default
//! `127.0.0.1:8080`, and port 0 picks a free one. Join it with `cargo run --example chat_client ann`,
//! or with the Python snippet of the README. Ctrl-C or SIGTERM drain and end it, a second one at once.
//!
//! | code | message | body |
//! |---|---|---|
//! | 200 | `say` | JSON `{"from", "text"}`; passed on to everyone else in the sender's room; the text `/who` is answered by a `motd` with the members |
//! | 201 | `join` | JSON `{"room"}`; moves the sender there, answered by a `roster` |
//! | 202 | `roster` | JSON `{"room", "members"}`, members counting the sender |
//! | 203 | `motd` | UTF-8 text of the server: a welcome to each peer that connects, and a notice to a room when another peer joins or leaves it |

#![allow(clippy::print_stdout, reason = "it talks to a person")]

#[path = "chat/app.rs"]
mod app;
#[path = "chat/members.rs"]
mod members;
#[path = "chat/messages.rs"]
mod messages;

use std::io::{IsTerminal, stderr};

use veltix::{Server, ServerConfig};

#[tokio::main]
async fn main() -> veltix::Result<()> {
    // Colours are for a terminal. A file or pipe gets no colour codes.
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(colours).init();
    let addr = std::env::var("VELTIX_ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let server = Server::bind(ServerConfig::default().addr(addr), app::router()).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(veltix::stop_signal()).await
}
