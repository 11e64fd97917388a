//! Messaging over TCP without the boilerplate, on Tokio: framing, handshake, routing,
//! request/response, tags, broadcast and reconnection, on the wire of the Python package `veltix`.
//!
//! ```no_run
//! use veltix::{Hub, Message, Peer, Router, SendError, Server, ServerConfig, all};
//!
//! #[veltix::message]
//! enum App {
//!     Say = 200,
//! }
//!
//! async fn say(hub: Hub, peer: Peer, message: Message) -> Result<(), SendError> {
//!     hub.to(all()).except(&peer).send(&message)?;
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> veltix::Result<()> {
//!     let router = Router::new().route(App::Say, say);
//!     Server::bind(ServerConfig::default(), router).await?.run().await?;
//!     Ok(())
//! }
//! ```
//!
//! # The parts
//!
//! - [`Router`] says which handler takes which message; a [`Handler`] is a function of extractors
//!   ([`Hub`], [`Peer`], [`State`], [`RequestId`], [`Message`], [`Text`], [`Json`], and `Bytes` of
//!   the crate `bytes`), and what it returns
//!   is the reply ([`IntoReply`]). The same router serves both sides.
//! - [`Server`] binds, runs and drains; [`Hub`] is its handle: broadcasts, lists, shuts down.
//! - [`Client`] connects and reconnects; it owns its connection.
//! - [`Peer`] is the other end of a connection, on both sides: sends, calls, pings, tags, closes.
//! - [`tag`], [`peers`], [`all`] and [`nobody`] make targets, and `&`, `|` and `!` make targets of
//!   targets: `tag("room").is("lobby") & tag("level").at_least(5) & !tag("muted")`. They say whom
//!   [`Hub::to`], [`Hub::list`], [`Hub::count`], [`Hub::tag`] and [`Hub::close`] mean, who is found
//!   through an index; [`Hub::watch`] is a stream of who enters and leaves.
//! - [`Event`] is everything that happens, as a stream: [`Hub::events`], [`Client::events`].
//! - [`transport`] is the seam for other streams than TCP: Unix sockets (`Server::bind_unix`,
//!   `Client::connect_unix`), those in memory, and your own.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `postcard` | bodies in postcard, for peers that are both in Rust: `#[message(code = 200, postcard)]` |
//! | `testing` | the module `testing`, for the tests of applications: their router in memory, clients with expectations, links that fail on demand, a paused clock. Enable it under `[dev-dependencies]` |
//!
//! # What is promised
//!
//! 1. Per connection and direction: in order, no duplicates, nothing corrupt. At most once; a
//!    reconnect is a new stream.
//! 2. No silent loss: `accepted = written + dropped + queued` ([`Sent`]) and `received = handled +
//!    rejected + discarded + waiting` ([`Received`]), per connection, always. Every call says what
//!    it did.
//! 3. A [`Request`] ends exactly once: with the reply, an error that says why there is none
//!    ([`RequestError`]), or cancelled by dropping it. Only the peer that was asked can answer.
//! 4. Handlers of one connection start in order, one at a time. Replies and pings bypass them, so
//!    a handler may call its own peer. Two handlers that each wait for the other side's next
//!    handler do block each other, until one call times out.
//! 5. A slow or dead peer never delays another and costs bounded memory.
//! 6. `on_connect` finishes before that peer's first message is handled, and may refuse the peer;
//!    the peer is listed, counted and reached only after that. `on_disconnect` runs exactly once
//!    if it was let in.
//! 7. After the peer's end, a reset or a protocol error, the running handler and every message
//!    that was received still run, under the drain deadline. Only a close by this side
//!    ([`Peer::close`], [`Hub::close`], [`Client::close`], the last clone of a client), an expired deadline, and
//!    dropping the future of [`Server::run`] cancel a handler.
//! 8. [`Hub::shutdown`] drains under one deadline and reports; inside a handler it does not wait.
//! 9. No bytes from a peer can panic, hang or exhaust the process.
//! 10. Nothing is negotiated that a Python peer would notice.
//! 11. The [`Client`] owns its connection; [`Peer`] and [`Hub`] keep nothing alive. Dropping the
//!     future of [`Server::run`] aborts every connection.
//!
//! A handler's panic is caught only where panics unwind: build without `panic = "abort"`.
//!
//! # Peers that read too slowly
//!
//! Each peer has an outbox, bounded in frames and bytes. Once its stream takes nothing more (over TCP
//! that is after some MiB, or as soon as [`max_unsent`](ServerConfig::max_unsent) says) and the
//! outbox is full, [`Peer::send`] waits, [`Peer::try_send`] says [`SendError::Full`], and a
//! broadcast does what its message says, or else the server's
//! [`on_full`](ServerConfig::on_full):
//!
//! | the message | what it does to a peer without room |
//! |---|---|
//! | [`on_full`](Message::on_full)[`(Disconnect)`](OverflowPolicy::Disconnect), the default | waiting messages that may be dropped go first; if that does not do, the peer is disconnected |
//! | [`on_full`](Message::on_full)[`(DropNewest)`](OverflowPolicy::DropNewest) | it is dropped |
//! | [`on_full`](Message::on_full)[`(DropOldest)`](OverflowPolicy::DropOldest) | the oldest that may be dropped make room for it |
//! | [`latest(key)`](Message::latest) | it takes the place of the older value of its key that still waits |
//!
//! ```
//! # use veltix::{Hub, Message, MessageType, SendError};
//! const POSITION: MessageType = MessageType::new(210, "position", "");
//!
//! fn moved(hub: &Hub, player: u64, at: String) -> Result<(), SendError> {
//!     hub.broadcast(&Message::from_text(POSITION, at).latest(player))?;
//!     Ok(())
//! }
//! ```
//!
//! What may be dropped is a broadcast of the two dropping policies, and a value however it was
//! sent. All else that was sent to one peer alone stays, replies included. Nothing of this is on
//! the wire, and the slow peer is told nothing. The application is: [`Event::SlowConsumer`] when there is no
//! room, [`Event::Dropped`] with the counts when the peer has caught up or gone; [`Peer::stats`]
//! counts by peer and [`Hub::dropped`] by type.
//!
//! # Python peers
//!
//! Versions 2.0.3 and later of the Python package join; 1.x has another header and cannot. A Python
//! server or client notices nothing of the other side's being Rust. PROTOCOL.md has the wire.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub use veltix_core::text::{decode_json, decode_utf8, encode_json, encode_utf8, format_bytes};
pub use veltix_core::{
    AnswerError, Ask, BodyError, CodeClass, DeliveryClass, EncodeError, HandshakeError, Hello,
    IdsExhausted, Key, Message, MessageType, NoError, NoReply, OverflowPolicy, PING, PONG, PeerId,
    ProtocolError, Registry, RequestId, Tag, TagError, TagNumber, TagTarget, TagValue, Target,
    TargetError, ToMessage, Told, TypeError, Typed, TypedMessage, UnknownCode, all, limits, nobody,
    peers, tag,
};
/// Says which part of a handler does not fit.
///
/// Where a function is no [`Handler`], the compiler can only say so. With this attribute on it
/// each part is checked by itself, and the error stands at the argument or the return type that
/// causes it and says what to write instead. The function stays as it is.
///
/// ```
/// use veltix::{Msg, Peer, State};
///
/// # #[derive(Clone)] struct Db;
/// #[veltix::message]
/// enum Rooms {
///     #[message(code = 200, reply = Roster)]
///     Who { room: String },
///     #[message(code = 201)]
///     Roster { names: Vec<String> },
/// }
///
/// #[veltix::debug_handler]
/// async fn who(peer: Peer, State(db): State<Db>, Msg(who): Msg<Who>) -> Roster {
///     Roster { names: vec![who.room, peer.id().to_string()] }
/// }
/// # let _ = veltix::Router::new().on(who).with_state::<()>(Db);
/// ```
///
/// What is checked: that there are at most eight arguments, that those before the last need no body
/// ([`FromContext`]) and the last is one at all ([`FromInput`]), that what is returned is a reply
/// ([`IntoReply`], [`AnswerTo`]), and that the future of an async function is [`Send`].
///
/// # Arguments
///
/// - The method of the [`Router`] that the handler is for: `on`, `route` (and `fallback`),
///   `on_connect` or `on_disconnect`. By default one that ends with [`Msg`] is for `on`, one that
///   ends with [`Disconnected`] for `on_disconnect`, any other for `route`. A handler of a whole enum, which
///   ends with a `Msg` too, is for `fallback`: `#[veltix::debug_handler(fallback)]`.
/// - `state = S`: the state of the router, by default what the argument [`State<S>`](State) takes.
/// - `crate = path`, as for [`message`].
///
/// It goes on functions that are neither generic nor methods.
pub use veltix_macros::debug_handler;
#[doc = include_str!("message.md")]
pub use veltix_macros::message;
pub use veltix_tokio::{
    AnswerTo, BindError, BoxError, Broadcast, BufferSize, Client, ClientConfig, ClientStatus,
    CloseReason, Closing, ClosingClient, CodecError, ConfigError, Configured, ConnectError,
    Context, Delivery, Disconnected, Draining, Dropped, Error, Event, EventStream, Extension,
    FromContext, FromInput, FromMessage, FromRef, Handler, HandshakeFailure, Hub, Inbound,
    InboundService, IntoReply, Json, MessageService, MessageStream, Msg, Peer, PeerStats, Ping,
    Received, Reconnect, Rejection, Reply, Request, RequestError, Response, Responses, Result,
    Router, SendError, Sending, Sent, Server, ServerConfig, ShutdownReport, SocketCore, State,
    Survey, SurveyStatus, Text, VeltixCodec, Watch, WatchEvent, transport,
};

#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use veltix_tokio::testing;

#[doc(hidden)]
pub mod __private {
    //! What the output of the macros names.
    pub mod handler {
        pub use veltix_tokio::__private::Asked;
        pub use veltix_tokio::__private::check::*;
        pub use veltix_tokio::Disconnected;
    }

    pub use veltix_core::__private::serde;
    pub use veltix_core::typed::{body, read_reply, read_reply_or_error};
    pub use veltix_core::{
        AnswerError, Ask, BodyError, EncodeError, Key, Message, MessageType, NoError, NoReply,
        OverflowPolicy, Registry, ToMessage, Told, Typed, TypedMessage, UnknownCode,
    };
}

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The guide's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../docs/from-python.md")]
struct FromPython;
