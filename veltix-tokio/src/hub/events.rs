//! [`Event`]: everything that happens, as a bounded stream.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::sync::broadcast;
use tokio_util::sync::ReusableBoxFuture;
use veltix_core::HandshakeError;
use veltix_core::limits::EVENT_BUFFER;

use crate::close::Disconnected;
use crate::error::TlsError;
use crate::outbox::Dropped;
use crate::peer::Peer;
use crate::sync::Mutex;
use crate::transport::PeerAddr;

/// Something that happened. Texts that come from a peer are escaped and cut.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A peer is connected, and `on_connect` has returned `Ok`.
    Connected {
        /// The peer.
        peer: Peer,
    },
    /// `on_connect` refused a peer, or took too long.
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
        /// How it ended.
        outcome: Disconnected,
    },
    /// A connection ended before its handshake was over.
    HandshakeFailed {
        /// Who it was.
        addr: PeerAddr,
        /// Why.
        reason: HandshakeFailure,
    },
    /// An argument of a handler could not be made, of a body for instance. The connection goes on.
    Rejected {
        /// The peer.
        peer: Peer,
        /// The message's code; 0 in `on_disconnect`.
        code: u16,
        /// The rejection's text.
        reason: String,
    },
    /// A handler returned an error, a layer did, or its time was over. The connection goes on.
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
        /// What it panicked with.
        message: String,
    },
    /// A message had a code that no route takes.
    UnknownCode {
        /// The peer.
        peer: Peer,
        /// The code.
        code: u16,
    },
    /// A peer's outbox was full; the peer is disconnected, or frames for it are dropped. Told once,
    /// at the first frame that finds no room, until the outbox has been empty again.
    SlowConsumer {
        /// The peer.
        peer: Peer,
    },
    /// A peer has been slowed down for a while, since it sends faster than its
    /// [rate](crate::ServerConfig::peer_rate). Told once until it has been within it for a second; if
    /// it goes on it is disconnected.
    RateExceeded {
        /// The peer.
        peer: Peer,
    },
    /// The server's [memory](crate::ServerConfig::memory_budget) was used up, and a peer is
    /// disconnected since it held the most of it.
    Evicted {
        /// The peer.
        peer: Peer,
        /// The bytes that it held.
        held: usize,
    },
    /// A call of ours was not answered in time. Whether the peer handled it is unknown.
    RequestTimedOut {
        /// Who was asked.
        peer: Peer,
        /// The question's code.
        code: u16,
    },
    /// A peer read too slowly, and frames for it were dropped for the sake of others, superseded
    /// ones included. Told once, when its outbox is empty again or its connection ends, with what
    /// was dropped in between. Meanwhile, [`Peer::stats`] and [`Hub::dropped`](crate::Hub::dropped)
    /// count them.
    Dropped {
        /// The peer.
        peer: Peer,
        /// How many, each message type by its code.
        dropped: Vec<Dropped>,
    },
    /// A client's server shuts down, and is about to close the connection. Calls that it is handling
    /// may still be answered; new messages are not handled any more. A client that reconnects does
    /// so at a random moment of the time that follows the end. Told once of a connection; should the
    /// server say it again, its last word counts.
    GoingAway {
        /// The server.
        peer: Peer,
        /// Over which time it wants its clients to come back.
        spread: Duration,
    },
    /// A client lost its connection and tries again.
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
    /// A client gave up trying.
    GaveUp {
        /// Attempts made.
        attempts: u32,
    },
    /// A shutdown has begun.
    Draining,
    /// This subscriber was too slow and has lost so many events.
    Lagged(u64),
}

/// Why a connection ended before its handshake was over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// The peer said something wrong, or closed.
    Protocol(HandshakeError),
    /// TLS failed: a certificate was refused, by either side, or the peer has no TLS.
    Tls(TlsError),
    /// The deadline passed.
    Timeout,
    /// The stream failed.
    Io(std::io::ErrorKind),
    /// More handshakes were pending than may be, and this one was shed, at random.
    Shed,
    /// The server was full.
    ServerFull,
    /// The peer's address had as many peers as one may have.
    AddressFull,
    /// [`Router::authenticate`](crate::Router::authenticate) did not let the peer in.
    Refused {
        /// Why, in its words, escaped and cut.
        reason: String,
    },
    /// [`Router::authenticate`](crate::Router::authenticate) panicked, so the peer was not let in.
    Panicked {
        /// What it panicked with, escaped and cut.
        message: String,
    },
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Timeout => f.write_str("the handshake was not over at its deadline"),
            Self::Io(kind) => write!(f, "the stream failed: {kind}"),
            Self::Shed => f.write_str("too many handshakes were pending, and this one was shed"),
            Self::ServerFull => f.write_str("the server was full"),
            Self::AddressFull => f.write_str("its address had as many peers as one may have"),
            Self::Refused { reason } => write!(f, "`authenticate` refused the peer: {reason}"),
            Self::Panicked { message } => write!(f, "`authenticate` panicked: {message}"),
        }
    }
}

/// Tells whoever listens.
#[derive(Debug)]
pub(crate) struct Events {
    /// `None` when there is nothing more to tell: handles that are still held keep no stream open.
    sender: Mutex<Option<broadcast::Sender<Event>>>,
    /// The server or client itself, and its connections.
    emitters: AtomicUsize,
}

impl Events {
    /// With one teller, the server or client itself.
    pub(crate) fn new() -> Self {
        let sender = Mutex::new(Some(broadcast::Sender::new(EVENT_BUFFER)));
        Self { sender, emitters: AtomicUsize::new(1) }
    }

    /// There is one more teller.
    pub(crate) fn begin(&self) {
        self.emitters.fetch_add(1, Ordering::Relaxed);
    }

    /// There is one teller less. With the last one the streams end.
    pub(crate) fn end(&self) {
        // What others have told comes before the end.
        if self.emitters.fetch_sub(1, Ordering::AcqRel) == 1 {
            let sender = self.sender.lock().take();
            // Wakes the listeners, and so not under the lock.
            drop(sender);
        }
    }

    /// Tells an event, which is only made when somebody listens.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        let listening = |sender: &&broadcast::Sender<Event>| sender.receiver_count() > 0;
        let sender = self.sender.lock().as_ref().filter(listening).cloned();
        if let Some(sender) = sender {
            // It fails only when the last listener has left meanwhile.
            let _ = sender.send(event());
        }
    }

    pub(crate) fn subscribe(&self) -> EventStream {
        let receiver = self.sender.lock().as_ref().map(broadcast::Sender::subscribe);
        // Of nobody, so that the stream is over at once.
        let receiver = receiver.unwrap_or_else(|| broadcast::Sender::new(1).subscribe());
        EventStream { next: ReusableBoxFuture::new(next(receiver)) }
    }
}

/// A stream of [`Event`]s from the moment it was made. It holds up to 1 024 of them; a slower
/// reader is told how many it lost by [`Event::Lagged`].
#[derive(Debug)]
pub struct EventStream {
    next: ReusableBoxFuture<'static, (Option<Event>, broadcast::Receiver<Event>)>,
}

impl EventStream {
    /// The next event; `None` when the server or client has ended, and so have its connections:
    /// handles that are still held change nothing in that.
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
