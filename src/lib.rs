//! Messaging over TCP without the boilerplate, on Tokio: framing, handshake, routing,
//! request/response, tags, broadcast and reconnection, on the wire of the Python package `veltix`.
//!
//! ```no_run
//! use veltix::{Hub, Msg, Peer, Router, SendError, Server, ServerConfig, all};
//!
//! #[veltix::message]
//! enum Chat {
//!     #[message(code = 200)]
//!     Say { from: String, text: String },
//! }
//!
//! async fn say(hub: Hub, peer: Peer, Msg(say): Msg<Say>) -> Result<(), SendError> {
//!     hub.to(all()).except(&peer).send(&say)?;
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> veltix::Result<()> {
//!     let router = Router::new().on(say);
//!     let server = Server::bind(ServerConfig::default(), router).await?;
//!     println!("listening on {}", server.local_addr()); // 127.0.0.1:8080
//!     server.run_until(veltix::stop_signal()).await // then drains
//! }
//! ```
//!
//! # Contents
//!
//! An application is an enum of [messages](#messages) and a [`Router`](#routes) of
//! [handlers](#handlers-and-extractors), functions of what they need, which return their
//! [reply](#replies-and-errors) or an error. They share [state](#state), a peer may have a
//! [session](#sessions), and a handler may [block](#blocking-code), be
//! [concurrent or limited in time](#concurrency-and-timeouts), or be wrapped in [layers](#layers).
//!
//! A [`Server`] or a [`Client`](#clients-and-reconnecting) serves the router, and each other end is
//! a [`Peer`], which one [sends](#sending-and-backpressure) to and
//! [asks](#requests-and-surveys) on both sides alike. The server's [`Hub`] reaches many at once: all,
//! or those whom [tags](#tags) and [targets](#targets-and-watches) mean. What happens when peers
//! [come and go](#connecting-and-leaving) is the router's as well, and so is
//! [who they are](#who-a-peer-is); everything that happens is
//! among the [events and logs](#events-and-logs).
//!
//! For operation there are an orderly [shutdown](#shutting-down), [other transports](#transports) than TCP, [TLS](#tls), [tests](#testing) in memory,
//! [limits and their defaults](#limits-and-defaults), [what a network needs](#on-a-network),
//! [features](#features),
//! [what is promised](#what-is-promised), and what to know of [Python peers](#python-peers).
//!
#![doc = include_str!("docs/messages.md")]
#![doc = include_str!("docs/handlers.md")]
#![doc = include_str!("docs/replies.md")]
#![doc = include_str!("docs/routes.md")]
#![doc = include_str!("docs/blocking.md")]
#![doc = include_str!("docs/layers.md")]
#![doc = include_str!("docs/state.md")]
#![doc = include_str!("docs/sending.md")]
#![doc = include_str!("docs/targets.md")]
#![doc = include_str!("docs/requests.md")]
#![doc = include_str!("docs/lifecycle.md")]
#![doc = include_str!("docs/shutdown.md")]
#![doc = include_str!("docs/identity.md")]
#![doc = include_str!("docs/clients.md")]
#![doc = include_str!("docs/events.md")]
#![doc = include_str!("docs/transports.md")]
#![cfg_attr(any(feature = "tls", feature = "tls-aws-lc-rs"), doc = include_str!("docs/tls.md"))]
#![doc = include_str!("docs/limits.md")]
#![doc = include_str!("docs/features.md")]
#![doc = include_str!("docs/promises.md")]
#![doc = include_str!("docs/python.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod codec;
pub mod future;
pub mod handler;
pub mod layer;
pub mod request;
pub mod stats;
pub mod tags;
pub mod text;
pub mod typed;

pub use veltix_core::{
    BodyError, CodeClass, EncodeError, GOING_AWAY, HandshakeError, Hello, Message, MessageType,
    OverflowPolicy, PING, PONG, PeerId, ProtocolError, Rate, Registry, RequestId, Tag, TagError,
    TagValue, Target, TargetError, Token, TypeError, all, limits, nobody, peers, tag,
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
    BindError, BoxError, Broadcast, BufferSize, CertificateProblem, Client, ClientConfig,
    ClientStatus, CloseReason, ConfigError, ConnectError, Delivery, Disconnected, Error, Event,
    EventStream, Extension, HandshakeFailure, HandshakeInfo, Hub, Identity, Json, MessageStream,
    Msg, Peer, Reconnect, Refuse, Rejection, Reply, RequestError, Result, Router, SendError,
    Server, ServerConfig, ShutdownReport, SocketCore, State, Text, TlsConfigError, TlsError, Watch,
    WatchEvent, transport,
};

#[cfg(feature = "signal")]
#[cfg_attr(docsrs, doc(cfg(feature = "signal")))]
pub use veltix_tokio::stop_signal;

#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use veltix_tokio::testing;

#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "tls-aws-lc-rs"))))]
pub use veltix_tokio::tls;

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
        AnswerError, Arrival, Ask, BodyError, EncodeError, Key, Message, MessageType, NoError,
        NoReply, OverflowPolicy, Registry, ToMessage, Told, Typed, TypedMessage, UnknownCode,
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
