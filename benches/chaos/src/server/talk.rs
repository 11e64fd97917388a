//! The requests of a scenario to its server: lines of JSON over the server's standard input and
//! output.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use veltix_core::limits;

/// The configuration of a server. The defaults are those of Veltix, except the limit of pending
/// handshakes, since here all peers have one address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The address to listen on.
    pub(crate) addr: String,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) write_stall: Duration,
    pub(crate) drain: Duration,
    pub(crate) max_message_size: usize,
    /// The limits of an outbox in frames and in bytes.
    pub(crate) outbox: (usize, usize),
    /// The limit in bytes of unsent data in the system.
    pub(crate) max_unsent: Option<u32>,
    /// Whether each connection has a thread.
    pub(crate) threading: bool,
    /// The certificate, if the server uses TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::tls::Pem>,
    /// The limit of open descriptors of the process.
    pub(crate) descriptors: Option<u64>,
    /// Whether an entry is kept for each connection that ended, and not only whether it added up.
    pub(crate) keeps_entries: bool,
    /// Whether one frame too many is counted, to test that this is detected.
    pub(crate) lies: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:0".to_owned(),
            heartbeat: Some(limits::HEARTBEAT_INTERVAL),
            write_stall: limits::WRITE_STALL,
            drain: limits::DRAIN_TIMEOUT,
            max_message_size: limits::MAX_MESSAGE_SIZE,
            outbox: (limits::OUTBOX_FRAMES, limits::OUTBOX_BYTES),
            max_unsent: None,
            threading: false,
            #[cfg(feature = "tls")]
            tls: None,
            descriptors: None,
            keeps_entries: true,
            lies: false,
        }
    }
}

/// A request to a server. Each has an answer of one line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// The answer is a [`Report`].
    Report,
    /// The answer is an [`Entry`](crate::accounts::Entry) for each connection that ended since the
    /// last request.
    Ended,
    /// The answer is an entry for each connection that lives.
    Living,
    /// Start publishing [`News`](crate::wire::Code::News). The answer is `null` and comes at once.
    Publish(News),
    /// Stop publishing. The answer is `null`.
    Quiet,
    /// Shut down. The answer is a [`Shutdown`].
    Shutdown,
}

/// The messages that are published to all peers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) messages: u64,
    /// The bytes of each body.
    pub(crate) size: usize,
    pub(crate) per_second: u64,
}

/// The state of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The listed peers.
    pub(crate) peers: usize,
    /// The listed peers that have a tag.
    pub(crate) tagged: usize,
    /// The tasks of its runtime.
    pub(crate) tasks: usize,
    /// The handlers that panicked.
    pub(crate) panics: u64,
    /// The connections that have ended.
    pub(crate) ended: u64,
    /// Some of the entries that did not add up.
    pub(crate) broken: Vec<String>,
    /// The published messages.
    pub(crate) published: u64,
    /// The wall clock, in seconds since 1970.
    pub(crate) clock: f64,
}

/// The results of a shutdown.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shutdown {
    pub(crate) connections: u64,
    /// The frames that were queued when it began, and the frames that were accepted after that.
    pub(crate) queued: u64,
    pub(crate) accepted: u64,
    pub(crate) flushed: u64,
    pub(crate) dropped: u64,
    pub(crate) aborted_handlers: u64,
    pub(crate) complete: bool,
    /// The time of the shutdown in its own report, in seconds.
    pub(crate) took: f64,
    /// The tasks of the runtime after the shutdown.
    pub(crate) tasks: usize,
}
