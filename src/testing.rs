//! Tests of an application: its router on a server in memory, named clients, links that fail on
//! request, and a clock that advances only while all tasks wait.
//!
//! The feature `testing` enables this module, for `[dev-dependencies]`:
//! `cargo add --dev veltix --features testing`. With the feature `cluster`, a `TestCluster` has several servers
//! that are one service.
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
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() { rooms_are_separate().await }
//! // Its test.
//! # /*
//! #[tokio::test]
//! # */
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
//! A handler that returns an error or panics fails the test, when the server or the client with this
//! handler is dropped, or after its shutdown. A test that means the failure calls
//! [`expect_failure`](TestServer::expect_failure) or [`allow_failures`](TestServer::allow_failures).
//!
//! The panic of a failed expectation shows its location, the client and the expected message, the
//! messages that the client has received, and the events of the server: a handler that failed or
//! panicked, a rejected body, a code without a route.
//!
//! ```text
//! tests/rooms.rs:12:9: bob expected a message of type say(201), but received nothing within 10s
//! bob has received:
//!   1. 203 "welcome" (taken before)
//! bob is connected, as memory:2
//! events of the server:
//!   #1 (memory:1) connected
//!   #2 (memory:2) connected
//!   the handler of code 201 failed for #1 (memory:1): not in a room
//! ```
//!
//! Every future here is cancel safe: a dropped one has taken no message, and a client or server
//! that was not created yet does not exist.
//!
//! # The clock
//!
//! [`TestServer::start`] pauses Tokio's clock, which requires a runtime with one thread:
//! `#[tokio::test]` without a `flavor`; `start_paused = true` works as well. From then on time
//! passes only while every task waits, and then it jumps to the next due time. A test of a timeout
//! of an hour takes no time, and nothing depends on the load of the machine.
//!
//! * [`settle`](TestServer::settle) waits until all other tasks wait.
//! * [`advance`](TestServer::advance) lets time pass. Everything that is due meanwhile happens at
//!   its time.
//! * An expectation waits for up to 10 s of that time, which is well below a heartbeat.
//!
//! The clock accounts for tasks and for the blocking handlers of routers, during which it stands
//! still. It does not account for other threads, processes and sockets, and not for the threads of
//! [`SocketCore::Threading`](crate::SocketCore::Threading), whose routers are tested on the default core. For example, while a
//! handler waits for a database, all tasks wait, and time jumps on. Replace such services by
//! stand-ins, or wait for them inside [`spawn_blocking`], during which the clock also stands still.
//!
//! [`spawn_blocking`]: https://docs.rs/tokio/1/tokio/task/fn.spawn_blocking.html
//!
//! # Reproducibility
//!
//! Everything runs on one thread, and the random numbers of this crate, for example the pauses of
//! [`Reconnect::backoff`](crate::Reconnect::backoff), use a fixed seed. The only random order is
//! that in which a [`Hub`](crate::Hub) visits its peers, which is not guaranteed anyway: each
//! client receives its own messages in their order, and a test should not depend on which of two
//! clients was first.
//!
//! # Links
//!
//! Each client has a [`Link`] to the server, which buffers 64 KiB in each direction, like a socket.
//! [`cut`](Link::cut) ends the connection on both sides and prevents new ones.
//! [`freeze`](Link::freeze) stops all traffic, for tests of heartbeats and slow peers.
//! [`heal`](Link::heal) ends both states.
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

#[cfg(feature = "cluster")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
#[doc(inline)]
pub use veltix_cluster::TestCluster;
#[doc(inline)]
pub use veltix_tokio::testing::{Link, TestClient, TestServer};
