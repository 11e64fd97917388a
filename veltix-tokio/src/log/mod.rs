//! Rate-limited logs, for log lines that peers can cause.

mod by_code;
mod rate_limited;

pub(crate) use by_code::RateLimitedCodeLog;
pub(crate) use rate_limited::RateLimitedLog;

/// The rate-limited logs of one side.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    /// Messages with a code without a route, per code.
    pub(crate) unknown: RateLimitedCodeLog,
    /// Slow polls of handlers, per code.
    pub(crate) slow_polls: RateLimitedCodeLog,
    /// Peers that exceed their rate.
    pub(crate) rate: RateLimitedLog,
    /// Peers that were disconnected because of their memory.
    pub(crate) evictions: RateLimitedLog,
    /// Peers that `authenticate` refused.
    pub(crate) refusals: RateLimitedLog,
    /// Broadcasts that are too large for a peer.
    pub(crate) too_large: RateLimitedLog,
}
