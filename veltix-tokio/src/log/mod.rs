//! Log lines that peers can cause, at a bounded rate.

mod by_code;
mod pace;

pub(crate) use by_code::CodeLog;
pub(crate) use pace::LogPace;

/// The rate limits of one side's log lines.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    /// Codes that no route takes.
    pub(crate) unknown: CodeLog,
    /// Codes whose handlers held their worker.
    pub(crate) slow_polls: CodeLog,
    /// Peers over their rate.
    pub(crate) rate: LogPace,
    /// Peers that were disconnected for their memory.
    pub(crate) evictions: LogPace,
    /// Peers that `authenticate` refused.
    pub(crate) refusals: LogPace,
}
