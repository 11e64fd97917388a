//! Rate-limited logs, for log lines that peers can cause.

mod by_code;
mod rate_limited;
mod written;

use veltix_core::limits::{PEER_LOG_PAUSE, UNKNOWN_WINDOW};

pub(crate) use by_code::RateLimitedCodeLog;
pub(crate) use rate_limited::RateLimitedLog;
pub(crate) use written::Due;

/// Writes a line that a peer can cause, if it is due. The field `suppressed` is the number of lines since
/// the last one that were not.
macro_rules! log_limited {
    ($level:ident, $due:expr, $($line:tt)*) => {
        if let $crate::log::Due::Now { suppressed } = $due {
            tracing::$level!(suppressed, $($line)*);
        }
    };
}
pub(crate) use log_limited;

/// Writes a line about one connection or message at this level, if it is due. Otherwise the line is
/// written at the level `debug`, which is for single connections and messages and has no limit.
macro_rules! log_or_debug {
    ($level:ident, $due:expr, $($line:tt)*) => {
        match $due {
            $crate::log::Due::Now { suppressed } => tracing::$level!(suppressed, $($line)*),
            $crate::log::Due::Later => tracing::debug!($($line)*),
        }
    };
}
pub(crate) use log_or_debug;

/// The rate-limited logs of one side. Each kind of line has a log of its own, so that no kind hides
/// another.
#[derive(Debug)]
pub(crate) struct Logs {
    /// Messages with a code without a route, per code.
    pub(crate) unknown: RateLimitedCodeLog,
    /// Slow polls of handlers, per code.
    pub(crate) slow_polls: RateLimitedCodeLog,
    /// Handlers that failed, per code.
    pub(crate) failures: RateLimitedCodeLog,
    /// Handlers that panicked, per code.
    pub(crate) panics: RateLimitedCodeLog,
    /// Declared errors that could not be sent, per code.
    pub(crate) unsent: RateLimitedCodeLog,
    /// Panics of the application's own tasks.
    pub(crate) task_panics: RateLimitedLog,
    /// Peers that exceed their rate.
    pub(crate) rate: RateLimitedLog,
    /// Peers that were disconnected because of their memory.
    pub(crate) evictions: RateLimitedLog,
    /// Messages that a stream, which is not read, had no room for.
    pub(crate) unread: RateLimitedLog,
    /// Peers that `authenticate` refused.
    pub(crate) refusals: RateLimitedLog,
    /// Headers of load balancers that are missing, wrong, or not trusted.
    pub(crate) proxies: RateLimitedLog,
    /// Panics of `authenticate`.
    pub(crate) handshake_panics: RateLimitedLog,
    /// Peers that `on_connect` refused.
    pub(crate) refused: RateLimitedLog,
    /// Peers whose `on_disconnect` failed.
    pub(crate) disconnects: Disconnects,
    /// Peers whose outbox overflowed.
    pub(crate) slow_consumers: RateLimitedLog,
    /// Peers for which frames were dropped.
    pub(crate) dropped: RateLimitedLog,
    /// Servers that announced their end to this client.
    pub(crate) going_away: RateLimitedLog,
    /// Servers beside whose ids this client has no room for its own.
    pub(crate) id_windows: RateLimitedLog,
    /// Broadcasts that are too large for a peer.
    pub(crate) too_large: RateLimitedLog,
    /// Older connections of a user that did not end in time.
    pub(crate) take_overs: RateLimitedLog,
    /// Handlers that block their thread beyond the end of their connection.
    pub(crate) blocked_threads: RateLimitedLog,
    /// Threads for the handlers of a peer that could not be started.
    pub(crate) no_threads: RateLimitedLog,
    /// Threads for the handlers of a peer that panicked.
    pub(crate) dead_threads: RateLimitedLog,
    /// Messages that a client lost at its end.
    pub(crate) lost: RateLimitedLog,
    /// Attempts of this client to connect again.
    pub(crate) reconnects: RateLimitedLog,
}

/// The logs of `on_disconnect`, one for each way to fail.
#[derive(Debug, Default)]
pub(crate) struct Disconnects {
    pub(crate) failed: RateLimitedLog,
    pub(crate) rejected: RateLimitedLog,
    pub(crate) panicked: RateLimitedLog,
    pub(crate) late: RateLimitedLog,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            unknown: RateLimitedCodeLog::new(UNKNOWN_WINDOW),
            slow_polls: RateLimitedCodeLog::new(UNKNOWN_WINDOW),
            failures: RateLimitedCodeLog::new(PEER_LOG_PAUSE),
            panics: RateLimitedCodeLog::new(PEER_LOG_PAUSE),
            unsent: RateLimitedCodeLog::new(PEER_LOG_PAUSE),
            task_panics: RateLimitedLog::new(),
            rate: RateLimitedLog::new(),
            evictions: RateLimitedLog::new(),
            unread: RateLimitedLog::new(),
            refusals: RateLimitedLog::new(),
            proxies: RateLimitedLog::new(),
            handshake_panics: RateLimitedLog::new(),
            refused: RateLimitedLog::new(),
            disconnects: Disconnects::default(),
            slow_consumers: RateLimitedLog::new(),
            dropped: RateLimitedLog::new(),
            going_away: RateLimitedLog::new(),
            id_windows: RateLimitedLog::new(),
            too_large: RateLimitedLog::new(),
            take_overs: RateLimitedLog::new(),
            blocked_threads: RateLimitedLog::new(),
            no_threads: RateLimitedLog::new(),
            dead_threads: RateLimitedLog::new(),
            lost: RateLimitedLog::new(),
            reconnects: RateLimitedLog::new(),
        }
    }
}
