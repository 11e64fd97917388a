//! The end of a connection: its reason, and the fate of its frames and messages.

use std::fmt;
use std::io;
use std::time::Duration;

use veltix_core::ProtocolError;

use crate::error::TlsError;
use crate::metrics::CLOSE_REASONS;
use crate::outbox::{DropReason, Sent};

/// The reason why a connection ended. If there are several causes, the first one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed the connection.
    PeerClosed,
    /// This side closed the connection, by [`Peer::close`](crate::Peer::close) or by dropping the
    /// client.
    Closed,
    /// This side closed the connection by [`Hub::close`](crate::Hub::close), for this reason of the
    /// application.
    ClosedFor(Box<str>),
    /// A newer connection of the same user took over, see
    /// [`Peer::take_over`](crate::Peer::take_over).
    TakenOver,
    /// The server is shutting down.
    Shutdown,
    /// `on_connect` refused the peer for now, or failed. The text is that of its error.
    Refused(Box<str>),
    /// `on_connect` refused the peer for good, by [`Refuse::new`](crate::Refuse::new). The text is
    /// the reason.
    RefusedForGood(Box<str>),
    /// `on_connect` did not return in time.
    ConnectTimeout,
    /// The stream failed, for example by a reset.
    Io(io::ErrorKind),
    /// The TLS stream failed: it was cut, or its bytes were changed in transit.
    Tls(TlsError),
    /// The peer sent bytes that are not frames, or a frame over the limit of this side.
    Protocol(ProtocolError),
    /// The peer reported that it could not read this side's bytes any further, and closed the
    /// connection. Only peers of this crate report it. Messages that were written after the reported
    /// ones are lost, although they count as written.
    ReportedByPeer(ProtocolError),
    /// The peer sent more unknown codes than a server accepts.
    UnknownCodes,
    /// The peer continued to send above its [rate](crate::ServerConfig::peer_rate).
    RateExceeded,
    /// A begun frame was not complete in time.
    SlowFrame,
    /// The peer was silent and did not answer two pings.
    HeartbeatTimeout,
    /// The peer accepted no byte for the time of the write stall, while frames waited for it.
    WriteStalled,
    /// The peer's outbox was full when a broadcast arrived that may not be dropped.
    SlowConsumer,
    /// The server's [memory budget](crate::ServerConfig::memory_budget) was used up, and this peer
    /// held the most of it. Its running handlers still finished, and its waiting messages were
    /// discarded.
    Evicted,
    /// A handler panicked. The peer's other handlers, and its received messages, still finished.
    HandlerPanicked,
    /// The task was aborted, for example by dropping the future of `run()`.
    Aborted,
}

impl CloseReason {
    /// The labels of the reasons in metrics.
    pub(crate) const LABELS: [&'static str; CLOSE_REASONS] = [
        "peer_closed",
        "closed",
        "closed_for",
        "taken_over",
        "shutdown",
        "refused",
        "refused_for_good",
        "connect_timeout",
        "io",
        "tls",
        "protocol",
        "reported_by_peer",
        "unknown_codes",
        "rate_exceeded",
        "slow_frame",
        "heartbeat_timeout",
        "write_stalled",
        "slow_consumer",
        "evicted",
        "handler_panicked",
        "aborted",
    ];

    /// Returns the place of the reason among the labels.
    pub(crate) const fn index(&self) -> usize {
        match self {
            Self::PeerClosed => 0,
            Self::Closed => 1,
            Self::ClosedFor(_) => 2,
            Self::TakenOver => 3,
            Self::Shutdown => 4,
            Self::Refused(_) => 5,
            Self::RefusedForGood(_) => 6,
            Self::ConnectTimeout => 7,
            Self::Io(_) => 8,
            Self::Tls(_) => 9,
            Self::Protocol(_) => 10,
            Self::ReportedByPeer(_) => 11,
            Self::UnknownCodes => 12,
            Self::RateExceeded => 13,
            Self::SlowFrame => 14,
            Self::HeartbeatTimeout => 15,
            Self::WriteStalled => 16,
            Self::SlowConsumer => 17,
            Self::Evicted => 18,
            Self::HandlerPanicked => 19,
            Self::Aborted => 20,
        }
    }

    /// Returns the reason for a failed stream.
    pub(crate) fn failed(error: &io::Error) -> Self {
        match TlsError::of(error) {
            Some(error) => Self::Tls(error.clone()),
            None => Self::Io(error.kind()),
        }
    }

    /// Returns whether running handlers are still finished, and received messages as well, except
    /// after an eviction. Only a close by this side cancels handlers.
    pub(crate) const fn lets_handlers_finish(&self) -> bool {
        !matches!(
            self,
            Self::Closed
                | Self::ClosedFor(_)
                | Self::TakenOver
                | Self::Refused(_)
                | Self::RefusedForGood(_)
                | Self::ConnectTimeout
                | Self::Aborted
        )
    }

    /// Returns whether queued frames are still written.
    pub(crate) const fn lets_queue_flush(&self) -> bool {
        matches!(
            self,
            Self::PeerClosed
                | Self::Closed
                | Self::ClosedFor(_)
                | Self::TakenOver
                | Self::Shutdown
                | Self::Refused(_)
                | Self::RefusedForGood(_)
                | Self::ConnectTimeout
                | Self::Protocol(_)
                | Self::UnknownCodes
                | Self::RateExceeded
                | Self::SlowFrame
                | Self::HandlerPanicked
        )
    }

    /// Returns whether a client whose connection ended for this reason must not reconnect: this side
    /// has decided that the connection ends. An aborted task is no decision while the client lives: the
    /// system had no thread for it.
    pub(crate) const fn ends_reconnecting(&self) -> bool {
        matches!(self, Self::Closed | Self::ClosedFor(_) | Self::RefusedForGood(_))
    }

    /// Returns the drop reason of the frames that are still queued at the end.
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
            Self::TakenOver => f.write_str("a newer connection of the same user took over"),
            Self::Shutdown => f.write_str("the server shut down"),
            Self::Refused(reason) => write!(f, "refused by on_connect: {reason}"),
            Self::RefusedForGood(reason) => write!(f, "refused for good by on_connect: {reason}"),
            Self::ConnectTimeout => f.write_str("on_connect did not return in time"),
            Self::Io(kind) => write!(f, "the stream failed: {kind}"),
            Self::Tls(error) => error.fmt(f),
            Self::Protocol(error) => error.fmt(f),
            Self::ReportedByPeer(ProtocolError::Oversize { total, limit }) => write!(
                f,
                "the peer closed the connection, since it received a frame of {total} bytes and accepts {limit}: raise max_message_size on the peer's side, or send smaller messages"
            ),
            Self::ReportedByPeer(error) => {
                write!(f, "the peer closed the connection and reported: {error}")
            }
            Self::UnknownCodes => f.write_str("the peer sent too many unknown message codes"),
            Self::RateExceeded => f.write_str("the peer continued to send above its rate"),
            Self::SlowFrame => f.write_str("a begun frame was not complete in time"),
            Self::HeartbeatTimeout => f.write_str("the peer did not answer pings"),
            Self::WriteStalled => f.write_str("the peer accepted no bytes for too long"),
            Self::SlowConsumer => f.write_str("the peer's outbox overflowed"),
            Self::Evicted => {
                f.write_str("the server's memory was used up, and the peer held the most of it")
            }
            Self::HandlerPanicked => f.write_str("a handler panicked"),
            Self::Aborted => f.write_str("the connection's task was aborted"),
        }
    }
}

/// The final result of a connection. [`Peer::close`](crate::Peer::close) resolves to it, and
/// `on_disconnect` receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnected {
    /// The reason why the connection ended.
    pub reason: CloseReason,
    /// The number of frames that were accepted for the peer and not completely written.
    pub undelivered: u64,
    /// The counters of the frames that were sent to the peer.
    pub sent: Sent,
    /// The counters of the messages that were received from the peer.
    pub received: Received,
}

/// The counters of the messages that a peer sent. This equation always holds exactly:
/// `received = handled + rejected + discarded() + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The number of decoded frames.
    pub received: u64,
    /// The number of messages that a handler received, whether it succeeded or failed, that were
    /// taken from a [`MessageStream`](crate::MessageStream), and of messages that the connection
    /// itself answered or matched to a call.
    pub handled: u64,
    /// The number of messages whose body did not match the handler's type.
    pub rejected: u64,
    /// The number of messages that wait for their handler, that their handler processes now, or that
    /// wait in a [`MessageStream`](crate::MessageStream).
    pub waiting: u64,
    /// The number of messages with an unknown code, or without a matching route.
    pub discarded_unknown: u64,
    /// The number of messages that a [`MessageStream`](crate::MessageStream) had no room for while
    /// it was not read, or that it held when it was dropped.
    pub discarded_unread: u64,
    /// The number of answers without a waiting call.
    pub discarded_late: u64,
    /// The number of messages that were still waiting when this side closed the connection or
    /// evicted the peer, or whose handler was cancelled by the close.
    pub discarded_closed: u64,
    /// The number of new messages that arrived while the server was shutting down.
    pub discarded_shutdown: u64,
    /// The number of replies of this side's handlers that were not sent, since they reply to an
    /// answer: the peer's reply to a message of this side that did not ask for one. The messages
    /// were handled.
    pub replies_discarded: u64,
}

impl Received {
    /// Adds the counts of another peer.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.handled += other.handled;
        self.rejected += other.rejected;
        self.waiting += other.waiting;
        self.discarded_unknown += other.discarded_unknown;
        self.discarded_unread += other.discarded_unread;
        self.discarded_late += other.discarded_late;
        self.discarded_closed += other.discarded_closed;
        self.discarded_shutdown += other.discarded_shutdown;
        self.replies_discarded += other.replies_discarded;
    }

    /// Returns the number of all discarded messages.
    #[must_use]
    pub const fn discarded(&self) -> u64 {
        self.discarded_unknown
            + self.discarded_unread
            + self.discarded_late
            + self.discarded_closed
            + self.discarded_shutdown
    }
}

/// The result of a shutdown. It is final after [`Hub::shutdown`](crate::Hub::shutdown) has returned
/// outside a handler. It is the sum over the connections that the shutdown closed, and this
/// equation holds exactly: `queued + accepted = flushed + dropped`.
///
/// For each of these connections, the shutdown begins with the turn of the connection: at once, or
/// within [`drain_spread`](crate::ServerConfig::drain_spread). A connection that ended by itself
/// before its turn is not included. Its [`Disconnected`] holds the counters of its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The number of connections that the shutdown closed.
    pub connections: u64,
    /// The number of frames that were queued when the shutdown began.
    pub queued: u64,
    /// The number of frames that were accepted after that: replies of handlers that were finishing,
    /// broadcasts, and the message that asks a client of this crate to reconnect later.
    pub accepted: u64,
    /// The number of frames of these two kinds that were completely written. The peer receives them
    /// if it still reads: the connection is closed in a way that does not overtake them.
    pub flushed: u64,
    /// The number of frames of these two kinds that were not written, since the deadline passed,
    /// the peer had disconnected, or their policy gave their place to other frames.
    pub dropped: u64,
    /// The number of handlers that the deadline cancelled.
    pub aborted_handlers: u64,
    /// The number of tasks of [`Hub::spawn`](crate::Hub::spawn) that the deadline ended.
    pub aborted_tasks: u64,
    /// The number of threads of [`SocketCore::Threading`](crate::SocketCore::Threading) that a handler
    /// still blocked at the deadline. Nothing can end such a handler, so its thread is left alone.
    pub blocked_threads: u64,
    /// The records for the other nodes of the cluster. All other counts are of this node.
    #[cfg(feature = "cluster")]
    pub cluster: ClusterShutdown,
    /// The duration of the shutdown.
    pub took: Duration,
    /// True if every connection has ended. It is `false` in three cases. Inside a handler, the
    /// shutdown cannot wait for the handler that awaits it. At the deadline, a handler may still block
    /// the thread of its connection, and nothing can stop it. And dropping the future of `run()` aborts the remaining connections. No sum includes
    /// connections that have not ended.
    pub complete: bool,
}

/// The records of a node for the other nodes of its cluster during a shutdown: `queued + accepted = flushed +
/// dropped`.
#[cfg(feature = "cluster")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterShutdown {
    /// The records that waited when the shutdown began.
    pub queued: u64,
    /// The records that were accepted after that, the farewell of the node among them.
    pub accepted: u64,
    /// The records of these two kinds that were passed to the broker.
    pub flushed: u64,
    /// The records of these two kinds that were not: the broker was away, or the time was over.
    pub dropped: u64,
}

#[cfg(feature = "cluster")]
impl ClusterShutdown {
    /// Creates the report of these counts.
    #[doc(hidden)]
    #[must_use]
    pub const fn of(queued: u64, accepted: u64, flushed: u64, dropped: u64) -> Self {
        Self { queued, accepted, flushed, dropped }
    }
}
