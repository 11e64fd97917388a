//! [`Rate`]: how fast one peer may send.

use std::time::Duration;

use crate::limits::{RATE_BURST, RATE_DISCONNECT_AFTER, RATE_WARN_AFTER};

/// How fast one peer may send. The default limits nothing yet: name messages, bytes, or both.
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
/// A peer over its rate meets a ladder:
///
/// 1. It is *slowed down*: nothing of it is read until it is within its rate again, so its own
///    sending waits. Nothing is lost.
/// 2. One that has been slowed for a while without a second of rest is *warned of*, once, to the
///    application.
/// 3. One that goes on is *disconnected*.
///
/// While it is not read for another reason, since its handlers are behind for instance, its rate goes
/// on: what it sent meanwhile is not held against it, up to [a minute's
/// worth](crate::limits::MAX_DEBT).
///
/// So a peer with more to send than its rate allows, a long upload for instance, stands on the ladder
/// all the time. Where peers do that for good reasons, say
/// [`disconnect_after(None)`](Rate::disconnect_after).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub(super) messages: Option<u32>,
    pub(super) bytes: Option<u64>,
    pub(super) burst: Duration,
    pub(super) warn_after: Duration,
    pub(super) disconnect_after: Option<Duration>,
}

impl Rate {
    /// Messages a second, pings and answers included. Default: any number. 0 counts as 1.
    #[must_use]
    pub const fn messages_per_second(mut self, messages: u32) -> Self {
        self.messages = Some(if messages == 0 { 1 } else { messages });
        self
    }

    /// Bytes a second, headers and frames that are not whole yet included. Default: any number. 0
    /// counts as 1.
    #[must_use]
    pub const fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bytes = Some(if bytes == 0 { 1 } else { bytes });
        self
    }

    /// What may come at once of a peer that was quiet before: so long at its rate. Default: 1 s.
    #[must_use]
    pub const fn burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }

    /// How long a peer may be slowed without a rest before it is warned of. Default: 5 s.
    #[must_use]
    pub const fn warn_after(mut self, slowed: Duration) -> Self {
        self.warn_after = slowed;
        self
    }

    /// How long a peer may be slowed without a rest before it is disconnected; with `None` it is
    /// slowed for ever. Default: 30 s.
    #[must_use]
    pub const fn disconnect_after(mut self, slowed: Option<Duration>) -> Self {
        self.disconnect_after = slowed;
        self
    }

    /// Whether it limits anything.
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
        }
    }
}
