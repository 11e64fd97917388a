//! How a connection ends: why, and what of it was lost.

use std::fmt;
use std::io;
use std::time::Duration;

use veltix_core::ProtocolError;

use crate::error::TlsError;
use crate::outbox::{DropReason, Sent};

/// Why a connection ended. The first cause counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed its end.
    PeerClosed,
    /// This side closed it, by [`Peer::close`](crate::Peer::close) or by dropping the client.
    Closed,
    /// This side closed it by [`Hub::close`](crate::Hub::close), for this reason of the
    /// application's.
    ClosedFor(Box<str>),
    /// The server is shutting down.
    Shutdown,
    /// `on_connect` refused the peer; the text is the error's.
    Refused(Box<str>),
    /// `on_connect` did not return in time.
    ConnectTimeout,
    /// The stream failed, by a reset for instance.
    Io(io::ErrorKind),
    /// The stream over TLS failed: it was cut, or its bytes were changed on their way.
    Tls(TlsError),
    /// The peer sent bytes that are not frames.
    Protocol(ProtocolError),
    /// The peer sent more unknown codes than a server bears.
    UnknownCodes,
    /// The peer kept sending faster than its [rate](crate::ServerConfig::peer_rate).
    RateExceeded,
    /// A begun frame did not become whole in time.
    SlowFrame,
    /// The peer was silent, and two pings went unanswered.
    HeartbeatTimeout,
    /// The peer took nothing for the write stall while something waited for it.
    WriteStalled,
    /// The peer's outbox was full when a broadcast came that may not be dropped.
    SlowConsumer,
    /// The server's [memory](crate::ServerConfig::memory_budget) was used up, and this peer held the
    /// most of it.
    Evicted,
    /// A handler panicked.
    HandlerPanicked,
    /// The task was aborted, by dropping the future of `run()` for instance.
    Aborted,
}

impl CloseReason {
    /// Of a stream that failed.
    pub(crate) fn failed(error: &io::Error) -> Self {
        match TlsError::of(error) {
            Some(error) => Self::Tls(error.clone()),
            None => Self::Io(error.kind()),
        }
    }

    /// Whether handlers that are running, and messages that were received, are still finished.
    /// Only a close of our own cancels them.
    pub(crate) const fn lets_handlers_finish(&self) -> bool {
        !matches!(
            self,
            Self::Closed
                | Self::ClosedFor(_)
                | Self::Refused(_)
                | Self::ConnectTimeout
                | Self::HandlerPanicked
                | Self::Aborted
        )
    }

    /// Whether it makes sense to write what is still queued.
    pub(crate) const fn lets_queue_flush(&self) -> bool {
        matches!(
            self,
            Self::PeerClosed
                | Self::Closed
                | Self::ClosedFor(_)
                | Self::Shutdown
                | Self::Refused(_)
                | Self::ConnectTimeout
                | Self::Protocol(_)
                | Self::UnknownCodes
                | Self::RateExceeded
                | Self::SlowFrame
                | Self::HandlerPanicked
        )
    }

    /// What frames that are still queued at the end are counted as.
    pub(crate) const fn drop_reason(&self) -> DropReason {
        match self {
            Self::SlowConsumer | Self::WriteStalled => DropReason::SlowConsumer,
            Self::Shutdown => DropReason::Shutdown,
            _ => DropReason::Disconnected,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the peer closed the connection"),
            Self::Closed => f.write_str("closed by this side"),
            Self::ClosedFor(reason) => write!(f, "closed by this side: {reason}"),
            Self::Shutdown => f.write_str("the server shut down"),
            Self::Refused(reason) => write!(f, "refused by on_connect: {reason}"),
            Self::ConnectTimeout => f.write_str("on_connect did not return in time"),
            Self::Io(kind) => write!(f, "the stream failed: {kind}"),
            Self::Tls(error) => error.fmt(f),
            Self::Protocol(error) => error.fmt(f),
            Self::UnknownCodes => f.write_str("the peer flooded with unknown message codes"),
            Self::RateExceeded => f.write_str("the peer kept sending faster than its rate"),
            Self::SlowFrame => f.write_str("a begun frame did not become whole in time"),
            Self::HeartbeatTimeout => f.write_str("the peer did not answer pings"),
            Self::WriteStalled => f.write_str("the peer took no bytes for too long"),
            Self::SlowConsumer => f.write_str("the peer's outbox overflowed"),
            Self::Evicted => {
                f.write_str("the server's memory was used up, and the peer held the most of it")
            }
            Self::HandlerPanicked => f.write_str("a handler panicked"),
            Self::Aborted => f.write_str("the connection's task was aborted"),
        }
    }
}

/// The end of a connection, final: what [`Peer::close`](crate::Peer::close) resolves to and
/// `on_disconnect` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnected {
    /// Why it ended.
    pub reason: CloseReason,
    /// Frames that were accepted for the peer and not written whole.
    pub undelivered: u64,
    /// What became of the frames sent to the peer.
    pub sent: Sent,
    /// What became of the messages received from it.
    pub received: Received,
}

/// What became of the messages that a peer sent. Always, and exactly:
/// `received = handled + rejected + discarded() + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Frames that were decoded.
    pub received: u64,
    /// Messages that a handler took, whether it succeeded or failed, and those that the
    /// connection answered or took as an answer itself.
    pub handled: u64,
    /// Messages whose body was not what the handler asked for.
    pub rejected: u64,
    /// Messages that wait for their handler, or are in it.
    pub waiting: u64,
    /// Messages whose code nobody knows, or that no route takes.
    pub discarded_unknown: u64,
    /// Answers that nobody waited for.
    pub discarded_late: u64,
    /// Messages that were still waiting when this side closed the connection, or whose handler
    /// was cancelled by that.
    pub discarded_closed: u64,
    /// New messages that came while the server was shutting down.
    pub discarded_shutdown: u64,
    /// Replies of our handlers that were not sent, since what they answer was an answer itself:
    /// the peer's reply to a message of ours that asked for none. The messages were handled.
    pub replies_discarded: u64,
}

impl Received {
    /// All discarded messages.
    #[must_use]
    pub const fn discarded(&self) -> u64 {
        self.discarded_unknown
            + self.discarded_late
            + self.discarded_closed
            + self.discarded_shutdown
    }
}

/// What a shutdown did, final once [`Hub::shutdown`](crate::Hub::shutdown) has returned outside a
/// handler. It is the sum over the connections that it closed, and adds up exactly:
/// `queued + accepted = flushed + dropped`.
///
/// For each of these connections it begins when the connection's turn comes: at once, or within
/// [`drain_spread`](crate::ServerConfig::drain_spread). One that ended by itself before is none of
/// them; [`Disconnected`] says what became of its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Connections that it closed.
    pub connections: u64,
    /// Frames that waited when it began.
    pub queued: u64,
    /// Frames that were taken on after that: replies of handlers that were finishing, broadcasts,
    /// and the message by which a client of ours is told to come back later.
    pub accepted: u64,
    /// Frames of these two kinds that were written whole. The peer reads them if it still reads at
    /// all: the connection is closed in a way that does not overtake them.
    pub flushed: u64,
    /// Frames of these two kinds that were not, since the deadline passed or the peer was gone, or
    /// that gave way to others by their policy.
    pub dropped: u64,
    /// Handlers that were cancelled by the deadline.
    pub aborted_handlers: u64,
    /// How long it took.
    pub took: Duration,
    /// Whether every connection has ended. `false` inside a handler, where the shutdown cannot
    /// wait for the handler that awaits it; when a handler that is not a
    /// [blocking](crate::Router::route_blocking) one still blocks its thread at the deadline, from
    /// which nothing can take it; and when the future of `run()` was dropped, which aborts what is
    /// left. What has not ended is in none of the sums.
    pub complete: bool,
}
