//! Tests of an application: its router on a server in memory, named clients, links that fail when a
//! test says so, and a clock that only moves when everybody waits.
//!
//! It is there with the feature `testing`, for `[dev-dependencies]`:
//! `cargo add --dev veltix --features testing`.
//!
//! ```
//! use veltix::testing::TestServer;
//! use veltix::{Hub, Message, MessageType, Peer, Router, SendError, tag};
//!
//! const JOIN: MessageType = MessageType::new(200, "join", "");
//! const SAY: MessageType = MessageType::new(201, "say", "");
//!
//! // The application.
//! fn router() -> Router {
//!     Router::new()
//!         .route(JOIN, |peer: Peer, message: Message| {
//!             peer.set_tag(("room", message.text()?))?;
//!             Ok::<_, veltix::Error>(())
//!         })
//!         .route(SAY, |hub: Hub, peer: Peer, message: Message| {
//!             hub.to(tag("room").is("lobby")).except(&peer).send(&message)?;
//!             Ok::<_, SendError>(())
//!         })
//! }
//!
//! // Its test: `#[tokio::test]`.
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() { rooms_are_separate().await }
//! async fn rooms_are_separate() {
//!     let server = TestServer::start(router()).await;
//!     let mut ann = server.client("ann").await;
//!     let mut bob = server.client("bob").await;
//!     ann.send(&Message::from_text(JOIN, "lobby")).await;
//!     bob.send(&Message::from_text(JOIN, "cellar")).await;
//!     server.settle().await;
//!
//!     bob.send(&Message::from_text(SAY, "anybody?")).await;
//!     ann.expect_message(&Message::from_text(SAY, "anybody?")).await;
//!     bob.expect_nothing().await;
//!     assert!(server.shutdown().await.complete);
//! }
//! ```
//!
//! An expectation that fails says where it stands, who expected what, what that client has
//! received instead, and what the server made of it: a handler that failed or panicked, a body that
//! was rejected, a code that no route takes.
//!
//! ```text
//! tests/rooms.rs:12:9: bob expected a message of type say(201), and nothing came within 10s
//! bob has received:
//!   1. 203 "welcome" (taken before)
//! bob is connected, as memory:2
//! the server says:
//!   #1 (memory:1) connected
//!   #2 (memory:2) connected
//!   the handler of code 201 failed for #1 (memory:1): not in a room
//! ```
//!
//! Every future here is cancel safe: one that is dropped has taken no message, and a client or
//! server that was not there yet is not.
//!
//! # The clock
//!
//! [`TestServer::start`] pauses Tokio's clock, which needs a runtime of one thread: `#[tokio::test]`
//! as it is, without a `flavor`; `start_paused = true` is fine as well. From then on time passes
//! only while every task waits, and then it leaps to what is due next. A test of a timeout of an
//! hour takes no time, and nothing depends on how busy the machine is.
//!
//! * [`settle`](TestServer::settle) waits until everybody else does.
//! * [`advance`](TestServer::advance) lets time pass; what is due meanwhile happens at its time.
//! * An expectation waits for up to 10 s of that time, well below a heartbeat.
//!
//! The clock knows tasks and the blocking handlers of routers, for which it stands still. It knows
//! nothing of other threads, processes and sockets: while a handler waits for a database, say, all
//! others wait as well, and time leaps on. Give the application a stand-in for such things, or wait
//! for them inside of [`spawn_blocking`](tokio::task::spawn_blocking), for which the clock also
//! stands still.
//!
//! # The same each time
//!
//! Everything runs on one thread, and the random numbers of this crate (the pauses of
//! [`Reconnect::backoff`](crate::Reconnect::backoff), say) begin with the same seed. What is left to
//! chance is the order in which a [`Hub`](crate::Hub) goes through its peers, which it does not
//! promise to anybody: each client sees its own messages in their order, and a test should not look
//! at which of two clients was first.
//!
//! # Links
//!
//! Each client has a [`Link`] to the server, which holds 64 KiB in each direction, as a socket
//! would. [`cut`](Link::cut) ends the connection on both sides and lets no other come,
//! [`freeze`](Link::freeze) lets nothing pass, for tests of heartbeats and slow peers, and
//! [`heal`](Link::heal) mends both.
//!
//! ```
//! # use std::time::Duration;
//! # use veltix::testing::TestServer;
//! # use veltix::{CloseReason, Message, MessageType, Router};
//! # const SAY: MessageType = MessageType::new(200, "say", "");
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let server = TestServer::start(Router::new().route(SAY, |message: Message| message)).await;
//! let mut bob = server.client("bob").await;
//! let at_server = server.peer(&bob);
//! bob.link().freeze();
//! server.advance(Duration::from_secs(60)).await;
//! assert_eq!(at_server.closed().await.reason, CloseReason::HeartbeatTimeout);
//!
//! bob.link().heal();
//! bob.connected().await;
//! bob.send(&Message::from_text(SAY, "back again")).await;
//! bob.expect(SAY).await;
//! # }
//! ```

mod client;
mod clock;
mod failure;
mod inbox;
mod line;
mod link;
mod server;

pub use client::TestClient;
pub use link::Link;
pub use server::TestServer;
