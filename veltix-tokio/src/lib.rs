//! The Tokio implementation of Veltix: server, client, router and connections.
//!
//! Applications use the `veltix` crate, which has the documentation.

// The first module, since its macro is in scope in the modules below it.
#[macro_use]
mod fault;

mod admission;
mod client;
mod close;
mod codec;
mod config;
mod connection;
mod drain;
mod error;
mod flush;
mod handlers;
mod handshake;
mod hub;
mod identity;
mod log;
mod memory;
pub mod metrics;
mod outbox;
mod peer;
mod requests;
mod router;
mod server;
mod session;
#[cfg(feature = "signal")]
mod signal;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(not(feature = "__tls"))]
mod tls;
#[cfg(feature = "__tls")]
pub mod tls;
pub mod transport;
mod workers;

pub use client::{
    Client, ClientConfig, ClientHandle, ClientStatus, ClosingClient, Connecting, Reconnect,
};
#[cfg(feature = "cluster")]
pub use close::ClusterShutdown;
pub use close::{CloseReason, Disconnected, Received, ShutdownReport};
pub use codec::{CodecError, VeltixCodec};
pub use config::{BufferSize, SocketCore};
pub use error::{
    BindError, BoxError, CertificateProblem, ConfigError, ConnectError, Error, NotConnected,
    RequestError, RestoreError, Result, SendError, ServeError, TakeOverError, TlsConfigError,
    TlsError,
};
pub use hub::{
    Broadcast, Delivery, Draining, Event, EventStream, GroupEvent, GroupWatch, GroupWatchBuilder,
    HandshakeFailure, Hub, Response, Responses, Survey, SurveyStatus, Watch, WatchBuilder,
    WatchEvent,
};
#[cfg(feature = "cluster")]
pub use hub::{
    Foreign, HeldBytes, InterestSource, IntoRelay, NodeDelivery, Outgoing, Published, Relay,
    ScopedBroadcast,
};
pub use identity::{HandshakeInfo, Identity, Refuse};
pub use outbox::{Dropped, Sent};
pub use peer::{Closing, Leaving, Peer, PeerStats, Sending, TakeOver};
pub use requests::{Ping, Request};
pub use router::{
    AnswerTo, Authenticator, Configured, Context, Extension, FromContext, FromInput, FromMessage,
    FromRef, Handler, Inbound, InboundService, IntoReply, Json, MessageService, MessageStream, Msg,
    Rejection, Reply, Router, State, Text,
};
pub use server::{Binding, IntoListener, Listening, Server, ServerConfig, Tcp};
#[cfg(feature = "signal")]
pub use signal::stop_signal;

#[doc(hidden)]
pub mod __private {
    //! Names that public signatures or macros mention and that no application writes.
    pub use crate::error::{FromErrors, from_error};
    #[cfg(veltix_planted_bugs)]
    pub use crate::fault::{is_planted, plant};
    pub use crate::router::{
        Asked, BlockingHandler, BorrowBody, CallAs, Called, FailWith, Failure, Input, MessageInput,
        Outcome, Returned, RouteOptions, Served, Signature, StateFor, Tell, TellsRejection, check,
        marker,
    };
}
