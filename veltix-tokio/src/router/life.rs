//! The handlers of a connection's beginning and end.

use super::handler::Handler;
use super::signature::Signature;
use super::{Router, Unbound};
use crate::close::Disconnected;
#[cfg(doc)]
use crate::identity::Refuse;

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// Sets the handler that is called after a peer's handshake and before its first message is handled.
    /// The handler may send, request and tag. The peer is listed once the handler has returned `Ok`. It is
    /// refused if the handler returns an error, panics, or takes longer than the
    /// [`on_connect_timeout`](crate::ServerConfig::on_connect_timeout), by default 10 s. On a client such a
    /// failure passes, and the client follows its [`Reconnect`](crate::Reconnect), unless the error is a
    /// final [`Refuse`].
    ///
    /// A call of the peer waits until the handler has returned. If the handlers of both sides call the
    /// other side, they wait for each other until a timeout, and the error is
    /// [`RequestError::BothConnecting`](crate::RequestError::BothConnecting). Let one side call, or spawn
    /// its call.
    #[must_use]
    pub fn on_connect<H, T>(mut self, handler: H) -> Self
    where
        H: Signature<T> + Handler<T, S, ()>,
        T: 'static,
    {
        self.on_connect = Some(Unbound::<_, ()>::new::<_, _, ()>(handler));
        self
    }

    /// Sets the handler that is called once for each peer that `on_connect` accepted, after its last
    /// message was handled. [`Disconnected`] as the last argument reports how the connection ended. The
    /// time limit is that of a [drain](crate::ServerConfig::drain_timeout), by default 10 s. An error or a
    /// panic of the handler is only logged and emitted as an event.
    #[must_use]
    pub fn on_disconnect<H, T>(mut self, handler: H) -> Self
    where
        H: Signature<T> + Handler<T, S, Disconnected>,
        T: 'static,
    {
        self.on_disconnect = Some(Unbound::<_, Disconnected>::new::<_, _, Disconnected>(handler));
        self
    }
}
