//! [`Event`]: all events of a server or a client, as a bounded stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::sync::broadcast;
use tokio_util::sync::ReusableBoxFuture;
use veltix_core::limits::EVENT_BUFFER;
use veltix_core::{HandshakeError, ProxyError};

use crate::close::Disconnected;
use crate::error::TlsError;
use crate::metrics::HANDSHAKE_FAILURES;
use crate::outbox::Dropped;
use crate::peer::Peer;
use crate::sync::Mutex;
use crate::transport::PeerAddr;

/// An event of a server or a client. Texts that come from a peer are escaped and shortened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A peer is connected, and `on_connect` has returned `Ok`.
    Connected {
        /// The peer.
        peer: Peer,
    },
    /// `on_connect` refused a peer or exceeded its timeout.
    Refused {
        /// The peer.
        peer: Peer,
        /// The error's text.
        reason: String,
    },
    /// A connection ended after it was [`Connected`](Event::Connected).
    Disconnected {
        /// The peer.
        peer: Peer,
        /// How the connection ended.
        outcome: Disconnected,
    },
    /// A connection ended before its handshake completed. A connection that its peer closes before the first
    /// byte is a health check, and no failed handshake.
    HandshakeFailed {
        /// The address of the peer: behind a [load balancer](crate::ServerConfig::trust_proxy) the one
        /// that it tells, once its header is read.
        addr: PeerAddr,
        /// The reason.
        reason: HandshakeFailure,
    },
    /// An argument of a handler could not be created, for example from the body. The connection
    /// stays open.
    Rejected {
        /// The peer.
        peer: Peer,
        /// The message's code; 0 in `on_disconnect`.
        code: u16,
        /// The rejection's text.
        reason: String,
    },
    /// A handler or a layer returned an error, or the handler exceeded its timeout. The connection
    /// stays open.
    HandlerFailed {
        /// The peer.
        peer: Peer,
        /// The message's code; 0 in `on_disconnect`.
        code: u16,
        /// The texts of the error and of its causes.
        error: String,
    },
    /// A handler panicked. The connection closes.
    HandlerPanicked {
        /// The peer.
        peer: Peer,
        /// The message's code; 0 in `on_connect` and `on_disconnect`.
        code: u16,
        /// The text of the panic.
        message: String,
    },
    /// No route handles the code of a message.
    UnknownCode {
        /// The peer.
        peer: Peer,
        /// The code.
        code: u16,
    },
    /// A message was dropped, since the client's [`MessageStream`](crate::MessageStream) was full
    /// and not read.
    Unread {
        /// The server.
        peer: Peer,
        /// The code.
        code: u16,
    },
    /// The outbox of a peer was full. The peer is disconnected, or frames for it are dropped.
    /// Emitted once, at the first frame without room, until the outbox has been empty again.
    SlowConsumer {
        /// The peer.
        peer: Peer,
    },
    /// A peer has been slowed down for a while, since it sends faster than its
    /// [rate](crate::ServerConfig::peer_rate). Emitted once until the peer has stayed within the
    /// rate for a second. If the peer continues to exceed it, the peer is disconnected.
    RateExceeded {
        /// The peer.
        peer: Peer,
    },
    /// The server's [memory](crate::ServerConfig::memory_budget) was used up, and the peer that
    /// held the most of it is disconnected.
    Evicted {
        /// The peer.
        peer: Peer,
        /// The bytes that the peer held.
        held: usize,
    },
    /// A call of this side was not answered before its timeout. It is unknown whether the peer
    /// handled the message.
    RequestTimedOut {
        /// The peer that was asked.
        peer: Peer,
        /// The question's code.
        code: u16,
    },
    /// A peer read too slowly, and frames for it were dropped to protect others. Superseded frames
    /// are included. Emitted once, when the outbox is empty again or the connection ends, with the
    /// frames dropped in between. Meanwhile, [`Peer::stats`] and
    /// [`Hub::dropped`](crate::Hub::dropped) count them.
    Dropped {
        /// The peer.
        peer: Peer,
        /// The dropped frames per message type, by code.
        dropped: Vec<Dropped>,
    },
    /// The server of a client shuts down and is about to close the connection. It may still answer
    /// calls that it is handling, but it handles no new messages. After the end, a reconnecting
    /// client waits for a random part of `spread`. Emitted once per connection. If the server
    /// repeats the announcement, the last one counts.
    GoingAway {
        /// The server.
        peer: Peer,
        /// The time over which the clients of the server are to come back.
        spread: Duration,
    },
    /// A client lost its connection and tries to connect again.
    Reconnecting {
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The pause before it.
        delay: Duration,
    },
    /// A client is connected again, and `on_connect` has returned `Ok`. It follows
    /// [`Connected`](Event::Connected).
    Reconnected {
        /// The server, on the new connection.
        peer: Peer,
    },
    /// A client has ended its attempts to reconnect.
    GaveUp {
        /// The number of attempts.
        attempts: u32,
    },
    /// A listener of the server has failed for good: it accepts no connection any more, and its
    /// address is free. The other listeners continue. Without another one, a shutdown begins.
    ListenerFailed {
        /// The address of the listener.
        addr: PeerAddr,
        /// The name of the listener, if it has one.
        label: Option<Arc<str>>,
        /// The text of the error.
        error: String,
    },
    /// A shutdown has begun.
    Draining,
    /// This subscriber was too slow and has lost this number of events.
    Lagged(u64),
}

/// The reason why a connection ended before its handshake completed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// The peer violated the protocol or closed the connection.
    Protocol(HandshakeError),
    /// TLS failed: one side refused a certificate, or the peer does not use TLS.
    Tls(TlsError),
    /// A [load balancer](crate::ServerConfig::trust_proxy) sent no header of the PROXY protocol, or a
    /// wrong one.
    Proxy(ProxyError),
    /// The deadline passed.
    Timeout,
    /// The stream failed.
    Io(std::io::ErrorKind),
    /// More handshakes were pending than allowed, and this one, chosen at random, was closed.
    Shed,
    /// The server had reached its maximum number of peers.
    ServerFull,
    /// The peer's address had reached its maximum number of peers.
    AddressFull,
    /// [`Router::authenticate`](crate::Router::authenticate) refused the peer.
    Refused {
        /// The reason that the hook gave, escaped and shortened.
        reason: String,
    },
    /// [`Router::authenticate`](crate::Router::authenticate) panicked, so the peer was refused.
    Panicked {
        /// The text of the panic, escaped and shortened.
        message: String,
    },
}

impl HandshakeFailure {
    /// The labels of the reasons in metrics.
    pub(crate) const LABELS: [&'static str; HANDSHAKE_FAILURES] = [
        "protocol",
        "tls",
        "proxy",
        "timeout",
        "io",
        "shed",
        "server_full",
        "address_full",
        "refused",
        "panicked",
    ];

    /// Returns the place of the reason among the labels.
    pub(crate) const fn index(&self) -> usize {
        match self {
            Self::Protocol(_) => 0,
            Self::Tls(_) => 1,
            Self::Proxy(_) => 2,
            Self::Timeout => 3,
            Self::Io(_) => 4,
            Self::Shed => 5,
            Self::ServerFull => 6,
            Self::AddressFull => 7,
            Self::Refused { .. } => 8,
            Self::Panicked { .. } => 9,
        }
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Proxy(error) => error.fmt(f),
            Self::Timeout => f.write_str("the handshake did not complete before its deadline"),
            Self::Io(kind) => write!(f, "the stream failed: {kind}"),
            Self::Shed => f.write_str("too many handshakes were pending, and this one was closed"),
            Self::ServerFull => f.write_str("the server had reached `max_connections`"),
            Self::AddressFull => {
                f.write_str("its address had reached `max_connections_per_address`")
            }
            Self::Refused { reason } => write!(f, "`authenticate` refused the peer: {reason}"),
            Self::Panicked { message } => write!(f, "`authenticate` panicked: {message}"),
        }
    }
}

/// Emits events to all subscribers.
#[derive(Debug)]
pub(crate) struct Events {
    /// `None` after the last event. Handles that are still held then keep no stream open.
    sender: Mutex<Option<broadcast::Sender<Event>>>,
    /// The number of emitters: the server or client itself, and its connections.
    emitters: AtomicUsize,
    /// The server or client itself is an emitter.
    is_open: AtomicBool,
}

impl Events {
    /// Creates the events with one emitter, the server or client itself.
    pub(crate) fn new() -> Self {
        let sender = Mutex::new(Some(broadcast::Sender::new(EVENT_BUFFER)));
        Self { sender, emitters: AtomicUsize::new(1), is_open: AtomicBool::new(true) }
    }

    /// Adds an emitter.
    pub(crate) fn begin(&self) {
        self.emitters.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes an emitter. With the last one, the streams end.
    pub(crate) fn end(&self) {
        // The events of the other emitters come before the end.
        if self.emitters.fetch_sub(1, Ordering::AcqRel) == 1 {
            let sender = self.sender.lock().take();
            // This wakes subscribers, so the lock is not held.
            drop(sender);
        }
    }

    /// Removes the server or client itself from the emitters, once.
    pub(crate) fn close(&self) {
        if self.is_open.swap(false, Ordering::AcqRel) {
            self.end();
        }
    }

    /// Emits an event. It is created only if there is a subscriber.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        let listening = |sender: &&broadcast::Sender<Event>| sender.receiver_count() > 0;
        let sender = self.sender.lock().as_ref().filter(listening).cloned();
        if let Some(sender) = sender {
            // It fails only if the last subscriber has left in between.
            let _ = sender.send(event());
        }
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        let receiver = self.sender.lock().as_ref().map(broadcast::Sender::subscribe);
        // This receiver has no sender, so the stream ends at once.
        let receiver = receiver.unwrap_or_else(|| broadcast::Sender::new(1).subscribe());
        EventStream { next: ReusableBoxFuture::new(next(receiver)) }
    }
}

/// A stream of [`Event`]s from the moment of its creation. It holds up to 1 024 events. A slower
/// reader receives [`Event::Lagged`] with the number of lost events.
#[derive(Debug)]
pub struct EventStream {
    next: ReusableBoxFuture<'static, (Option<Event>, broadcast::Receiver<Event>)>,
}

impl EventStream {
    /// Returns the next event, or `None` after the client, or after the last connection of a server that
    /// drains, has ended.
    /// Handles that are still held do not keep the stream open.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let (event, receiver) = std::task::ready!(self.next.poll(cx));
        self.next.set(next(receiver));
        Poll::Ready(event)
    }
}

async fn next(
    mut receiver: broadcast::Receiver<Event>,
) -> (Option<Event>, broadcast::Receiver<Event>) {
    let event = match receiver.recv().await {
        Ok(event) => Some(event),
        Err(broadcast::error::RecvError::Lagged(lost)) => Some(Event::Lagged(lost)),
        Err(broadcast::error::RecvError::Closed) => None,
    };
    (event, receiver)
}
