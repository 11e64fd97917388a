//! Messaging over TCP on Tokio: framing, handshake, routing, requests, tags, broadcast and
//! reconnection, compatible with the Python package `veltix`.
//!
//! ```no_run
//! use veltix::{Hub, Msg, Peer, Router, SendError, Server, ServerConfig, all};
//!
//! #[veltix::message]
//! enum Chat {
//!     #[message(code = 200)] // JSON: {"from": …, "text": …}
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
//!     server.run().await
//! }
//! ```
//!
//! An application is an enum of messages and a [`Router`] of handlers. A [`Server`] or a [`Client`]
//! serves the router. The other end of each connection is a [`Peer`], with the same methods on both
//! sides. The [`Hub`] of a server reaches many peers at once.
//!
//! | to | read |
//! |---|---|
//! | define messages | [`message`](macro@message), [messages](_guide::messages) |
//! | handle them | [handlers](_guide::handlers), [routes](_guide::routes), [replies and errors](_guide::replies) |
//! | keep state | [state and sessions](_guide::state) |
//! | block, run concurrently, add layers | [concurrency](_guide::concurrency), [layers](_guide::layers) |
//! | send and broadcast | [sending](_guide::sending), [tags and targets](_guide::targets) |
//! | ask | [requests and surveys](_guide::requests) |
//! | connect | [clients](_guide::clients), [transports](_guide::transports), [Python peers](_guide::python) |
//! | know the peer | [lifecycle](_guide::lifecycle), [identity](_guide::identity), [TLS](_guide::tls) |
//! | test | [testing](_guide::testing) |
//! | operate a server | [network](_guide::network), [limits](_guide::limits), [shutdown](_guide::shutdown_operation), [events and logs](_guide::events), [metrics and health](_guide::observability) |
//! | choose features | [features](_guide::features) |
//! | rely on it | [guarantees](_guide::guarantees) |
//! | run several servers as one service | [clusters](#clusters) |
//!
//! # Clusters
//!
//! With the feature `cluster-nats`, several servers are one service: a broadcast reaches the peers of all of
//! them. They talk to each other over a [NATS](https://nats.io) server. While it is away, each server serves its
//! own peers.
//!
#![cfg_attr(feature = "cluster-nats", doc = "```no_run")]
#![cfg_attr(not(feature = "cluster-nats"), doc = "```ignore")]
//! use veltix::cluster::Nats;
//! use veltix::{Router, Server, ServerConfig};
//!
//! # async fn f(router: Router) -> veltix::Result<()> {
//! let nats = Nats::connect("nats://127.0.0.1:4222", "chat").await?; // the NATS server, and the cluster's name
//! Server::bind(ServerConfig::default(), router).await?.cluster(nats).run().await
//! # }
//! ```
//!
//! The page [clusters](mod@_guide::cluster) says what is exact, what follows a moment later, and what is lost while
//! the NATS server is away. The module `veltix::cluster` has the settings, and the calls that ask all servers.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod _guide;
pub mod client;
#[cfg(feature = "cluster")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
pub mod cluster;
pub mod codec;
pub mod future;
pub mod handler;
#[cfg(feature = "inspect")]
#[cfg_attr(docsrs, doc(cfg(feature = "inspect")))]
pub mod inspect;
pub mod layer;
pub mod metrics;
pub mod presence;
pub mod request;
pub mod stats;
pub mod tags;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
pub mod text;
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "tls-aws-lc-rs"))))]
pub mod tls;
pub mod transport;
pub mod typed;

pub use veltix_core::{
    BodyError, CodeClass, EncodeError, GOING_AWAY, HandshakeError, Hello, Message, MessageType,
    OverflowPolicy, PING, PONG, ParseTargetError, PeerId, ProtocolError, ProxyError, Rate,
    Registry, RequestId, Tag, TagError, TagValue, Target, TargetError, Token, TypeError, all,
    limits, nobody, peers, tag,
};
/// Reports which part of a function does not fit a handler.
///
/// Without the attribute the compiler reports only that the function is not a
/// [`Handler`](handler::Handler). With it, the compiler checks each part separately. The error points at
/// the argument or the return type and names the alternatives. The function itself does not change.
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
/// The attribute checks that
///
/// - there are at most eight arguments,
/// - each argument before the last implements [`FromContext`](handler::FromContext), so it needs no body,
/// - the last argument implements [`FromInput`](handler::FromInput),
/// - the return type is a reply: [`IntoReply`](handler::IntoReply) or [`AnswerTo`](typed::AnswerTo),
/// - the future of an async function is [`Send`].
///
/// # Arguments
///
/// - The method of the [`Router`] that takes the handler: `on`, `route` (also for `fallback`), `on_connect`
///   or `on_disconnect`. By default a handler that ends with [`Msg`] is for `on`, one that ends with
///   [`Disconnected`] is for `on_disconnect`, and any other is for `route`. A handler of a whole enum also
///   ends with `Msg` but is for `fallback`: `#[veltix::debug_handler(fallback)]`.
/// - `state = S`: the state of the router. The default is the type of the argument [`State<S>`](State).
/// - `crate = path`: as for [`message`].
///
/// The attribute does not support generic functions and methods.
pub use veltix_macros::debug_handler;
#[doc = include_str!("message.md")]
///
/// [`Ask`]: typed::Ask
/// [Told]: typed::Told
/// [`ToMessage`]: typed::ToMessage
/// [`Typed`]: typed::Typed
/// [`TypedMessage`]: typed::TypedMessage
/// [`TypedMessage::Reply`]: typed::TypedMessage::Reply
/// [`TypedMessage::Error`]: typed::TypedMessage::Error
/// [`UnknownCode`]: typed::UnknownCode
pub use veltix_macros::message;
pub use veltix_tokio::{
    BindError, BoxError, Broadcast, BufferSize, CertificateProblem, Client, ClientConfig,
    ClientHandle, ClientStatus, CloseReason, ConfigError, ConnectError, Delivery, Disconnected,
    Error, Event, EventStream, Extension, HandshakeFailure, HandshakeInfo, Hub, Identity, Json,
    MessageStream, Msg, Peer, Reconnect, Refuse, Rejection, Reply, RequestError, Result, Router,
    SendError, ServeError, Server, ServerConfig, ShutdownReport, SocketCore, State, Text,
    TlsConfigError, TlsError,
};

#[cfg(feature = "signal")]
#[cfg_attr(docsrs, doc(cfg(feature = "signal")))]
pub use veltix_tokio::stop_signal;

#[doc(hidden)]
pub mod __private {
    //! Items that the output of the macros names.
    pub mod handler {
        pub use veltix_tokio::__private::Asked;
        pub use veltix_tokio::__private::check::*;
        pub use veltix_tokio::Disconnected;
    }

    pub use veltix_core::__private::serde;
    pub use veltix_core::limits::MAX_TYPED_BODY;
    pub use veltix_core::typed::{body, read_reply, read_reply_or_error};
    pub use veltix_core::{
        AnswerError, Ask, BodyError, EncodeError, Key, Message, MessageRef, MessageType, NoError,
        NoReply, OverflowPolicy, Registry, TagError, TargetError, ToMessage, Told, Typed,
        TypedMessage, UnknownCode,
    };
    pub use veltix_tokio::__private::from_error;
    pub use veltix_tokio::{
        BindError, ConnectError, NotConnected, RequestError, RestoreError, SendError, ServeError,
        TakeOverError, TlsConfigError,
    };
}

/// Compiles the code of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the code of the page for users of the Python package.
#[cfg(doctest)]
#[doc = include_str!("../docs/from-python.md")]
struct FromPython;
