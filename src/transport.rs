//! Streams, which are the interface between connections and the transport of their bytes, and the
//! listeners of a server.
//!
//! A [`Stream`] consists of a reading half and a writing half. The writing half differs from
//! Tokio's `AsyncWrite` in one point, on which the whole fast path is built: it writes *without
//! waiting and without a task*. So the code that fills an outbox can also empty it.
//!
//! A server has one listener or several. [`Server::with_listener`](crate::Server::with_listener) and
//! [`Server::also_listen`](crate::Server::also_listen) take [`Tcp`], a Unix socket, and every
//! [`Listener`] of your own.

pub use veltix_tokio::transport::{
    Connector, Listener, MemoryConnector, MemoryListener, PeerAddr, Stream, StreamWriter, UnixAddr,
    UnixCredentials, memory, memory_pair,
};
#[cfg(unix)]
pub use veltix_tokio::transport::{UnixSocketConnector, UnixSocketListener};
pub use veltix_tokio::{IntoListener, Listening, Tcp};
