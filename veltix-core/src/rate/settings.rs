//! [`Rate`]: the settings of a rate limit.

use std::time::Duration;

use crate::limits::{RATE_BURST, RATE_DISCONNECT_AFTER, RATE_WARN_AFTER};

/// A rate limits how fast one peer may send. The default has no limit: set one for messages, for
/// bytes, or for both.
///
/// ```
/// use std::time::Duration;
/// use veltix::Rate;
///
/// let rate = Rate::default()
///     .messages_per_second(1_000)
///     .bytes_per_second(1024 * 1024)
///     .burst(Duration::from_secs(2));
/// ```
///
/// A peer that exceeds its rate goes through these steps:
///
/// 1. The peer is *slowed down*: reading from it pauses until it is within its rate again, so its
///    own sends wait. Nothing is lost.
///    With [`tell_peers`](Rate::tell_peers), it hears of that.
/// 2. If it has been slowed for a while without one second of rest, the application receives *one
///    warning*.
/// 3. If it continues, it is *disconnected*.
///
/// Reading may also pause for another reason, for example because the handlers are behind. Messages
/// that the peer sends meanwhile do not count against it, up to the number that it may send in [one
/// minute](crate::limits::MAX_DEBT).
///
/// A peer that always has more to send than its rate allows, for example during a long upload, is
/// slowed all the time. If your peers do that for good reasons, set
/// [`disconnect_after(None)`](Rate::disconnect_after).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub(super) messages: Option<u32>,
    pub(super) bytes: Option<u64>,
    pub(super) burst: Duration,
    pub(super) warn_after: Duration,
    pub(super) disconnect_after: Option<Duration>,
    pub(super) tells_peers: bool,
}

impl Rate {
    /// Limits the messages per second, including pings and answers. A limit of 0 counts as 1. The
    /// default is no limit.
    #[must_use]
    pub const fn messages_per_second(mut self, messages: u32) -> Self {
        self.messages = Some(if messages == 0 { 1 } else { messages });
        self
    }

    /// Limits the bytes per second, including headers and incomplete frames. A limit of 0 counts as
    /// 1. The default is no limit.
    #[must_use]
    pub const fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bytes = Some(if bytes == 0 { 1 } else { bytes });
        self
    }

    /// Sets the burst: a peer that was quiet may send at once as much as its rate allows in this
    /// time. The default is 1 s.
    #[must_use]
    pub const fn burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }

    /// Sets the time for which a peer may be slowed without a rest before the warning. The default
    /// is 5 s.
    #[must_use]
    pub const fn warn_after(mut self, slowed: Duration) -> Self {
        self.warn_after = slowed;
        self
    }

    /// Sets the time for which a peer may be slowed without a rest before it is disconnected. With
    /// `None`, it is slowed without end. The default is 30 s.
    #[must_use]
    pub const fn disconnect_after(mut self, slowed: Option<Duration>) -> Self {
        self.disconnect_after = slowed;
        self
    }

    /// Sets whether a peer that was slowed hears of it. If so, at most one of its calls in a
    /// [second](crate::limits::TELL_PAUSE) is not handled but answered, with the error that its message
    /// declares: that error is made from `Rejection::TooFast`, which has the length of the pause. Calls of
    /// messages without a declared error, and messages that ask nothing, are handled as always. The
    /// default is `false`.
    #[must_use]
    pub const fn tell_peers(mut self, tell: bool) -> Self {
        self.tells_peers = tell;
        self
    }

    /// Returns whether a peer that was slowed hears of it.
    #[must_use]
    pub const fn tells_peers(&self) -> bool {
        self.tells_peers
    }

    /// Returns whether there is any limit.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.messages.is_some() || self.bytes.is_some()
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            messages: None,
            bytes: None,
            burst: RATE_BURST,
            warn_after: RATE_WARN_AFTER,
            disconnect_after: Some(RATE_DISCONNECT_AFTER),
            tells_peers: false,
        }
    }
}
