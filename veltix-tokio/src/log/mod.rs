//! Log lines that peers can cause, at a bounded rate.

mod by_code;
mod rate_limited;

pub(crate) use by_code::RateLimitedCodeLog;
pub(crate) use rate_limited::RateLimitedLog;

/// The rate limits of one side's log lines.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    /// Codes that no route takes.
    pub(crate) unknown: RateLimitedCodeLog,
    /// Codes whose handlers held their worker.
    pub(crate) slow_polls: RateLimitedCodeLog,
    /// Peers over their rate.
    pub(crate) rate: RateLimitedLog,
    /// Peers that were disconnected for their memory.
    pub(crate) evictions: RateLimitedLog,
    /// Peers that `authenticate` refused.
    pub(crate) refusals: RateLimitedLog,
}
