//! What is said between a scenario and its server: lines of JSON through the server's standard
//! input and output.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use veltix_core::limits;

/// How a server is set. The defaults are those of Veltix, but for the handshakes that may be pending:
/// here all peers have one address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Where it listens.
    pub(crate) addr: String,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) write_stall: Duration,
    pub(crate) drain: Duration,
    pub(crate) max_message_size: usize,
    /// Frames and bytes.
    pub(crate) outbox: (usize, usize),
    /// Bytes that the system takes on before it has sent those that it has.
    pub(crate) max_unsent: Option<u32>,
    /// A thread for each connection.
    pub(crate) threading: bool,
    /// With what it serves over TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::tls::Pem>,
    /// Descriptors that the process may have.
    pub(crate) descriptors: Option<u64>,
    /// Keep an entry for each connection that ended, and not only whether it added up.
    pub(crate) keeps_entries: bool,
    /// Count one frame more than was written, to see that it is noticed.
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

/// What a server is asked, or told to do. Each is answered with one line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// Answered with a [`Report`].
    Report,
    /// Answered with an [`Entry`](crate::accounts::Entry) for each connection that ended since it
    /// was asked last.
    Ended,
    /// Answered with an entry for each connection that lives.
    Living,
    /// Publish [`News`](crate::wire::Code::News), from now on; answered at once with `null`.
    Publish(News),
    /// Publish no more; answered with `null`.
    Quiet,
    /// Shut down; answered with a [`Shutdown`].
    Shutdown,
}

/// What is to be published, to everybody.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) messages: u64,
    /// Bytes of each body.
    pub(crate) size: usize,
    pub(crate) per_second: u64,
}

/// How a server stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Peers that are listed.
    pub(crate) peers: usize,
    /// Of those, who have a tag.
    pub(crate) tagged: usize,
    /// Tasks of its runtime.
    pub(crate) tasks: usize,
    /// Handlers that panicked.
    pub(crate) panics: u64,
    /// Connections that have ended.
    pub(crate) ended: u64,
    /// Of those, whose entry did not add up; some of them.
    pub(crate) broken: Vec<String>,
    /// News that were published.
    pub(crate) published: u64,
    /// Seconds of the day's clock, since 1970.
    pub(crate) clock: f64,
}

/// What a shutdown did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Shutdown {
    pub(crate) connections: u64,
    /// Frames that waited when it began, and those that were taken on since.
    pub(crate) queued: u64,
    pub(crate) accepted: u64,
    pub(crate) flushed: u64,
    pub(crate) dropped: u64,
    pub(crate) aborted_handlers: u64,
    pub(crate) complete: bool,
    /// What it said that it took, in seconds.
    pub(crate) took: f64,
    /// Tasks of the runtime behind it.
    pub(crate) tasks: usize,
}
