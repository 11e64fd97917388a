//! [`Liveness`]: signs of life, progress of writes, and the one timer of a connection.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use veltix_core::{Heartbeat, Pulse};

use super::timer::Timer;
use crate::outbox::OutboxStatus;

/// What the task knows of the life of its peer.
pub(super) struct Liveness {
    heartbeat: Option<Heartbeat>,
    /// Bytes that the stream had taken at the last look: progress is a sign of life.
    written: u64,
    /// The time of the last progress, or of the last ping that kept a silent side alive.
    spoke: Instant,
    /// The time since which the stream takes nothing.
    stalled_since: Option<Instant>,
    /// Nothing can be written any more. Boxed: most connections end otherwise.
    write_failure: Option<Box<WriteFailure>>,
    timer: Timer,
}

/// A write that failed: the peer has gone, or is about to.
struct WriteFailure {
    kind: io::ErrorKind,
    /// The end of the time in which earlier bytes of the peer are still read. Without it they would be
    /// read for ever while a handler that does not return leaves no room for them, and the descriptor and
    /// the slot would be held as long.
    until: Instant,
}

impl Liveness {
    pub(super) fn new(heartbeat: Option<Duration>, now: Instant) -> Self {
        Self {
            heartbeat: heartbeat.map(|interval| Heartbeat::new(interval, now.into_std())),
            written: 0,
            spoke: now,
            stalled_since: None,
            write_failure: None,
            timer: Timer::default(),
        }
    }

    /// Records a sign of life.
    pub(super) fn is_alive(&mut self, now: Instant) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.alive(now.into_std());
        }
    }

    /// Records the progress of writes. After a failed write the task still reads for `patience`.
    pub(super) fn note_progress(&mut self, status: &OutboxStatus, patience: Duration) {
        self.stalled_since = status.stalled_since;
        if let Some(kind) = status.failure
            && self.write_failure.is_none()
        {
            let until = Instant::now() + patience;
            self.write_failure = Some(Box::new(WriteFailure { kind, until }));
        }
        if status.written != self.written {
            self.written = status.written;
            // The time of the write, not that of this look, which may be much later.
            self.spoke = status.written_at.unwrap_or(self.spoke);
            self.is_alive(self.spoke);
        }
    }

    /// Sets the number of written bytes after a ping of this side: that the stream takes our own question
    /// is no sign of the peer's life.
    pub(super) const fn expect_written(&mut self, written: u64) {
        self.written = written;
    }

    /// Returns the kind of error with which a write failed.
    pub(super) fn write_failure(&self) -> Option<io::ErrorKind> {
        self.write_failure.as_ref().map(|failure| failure.kind)
    }

    /// Removes the failure of a write whose time has passed.
    pub(super) fn take_due_failure(&mut self, now: Instant) -> Option<io::ErrorKind> {
        self.write_failure.take_if(|failure| failure.until <= now).map(|failure| failure.kind)
    }

    /// Returns the time at which the failure of a write ends the connection.
    pub(super) fn failure_deadline(&self) -> Option<Instant> {
        self.write_failure.as_ref().map(|failure| failure.until)
    }

    /// Returns the time at which a stream that takes nothing has stalled.
    #[inline]
    pub(super) fn stall_deadline(&self, stall: Option<Duration>) -> Option<Instant> {
        let since = self.stalled_since?;
        Some(since + stall?)
    }

    /// Removes a stall whose deadline has passed; returns whether there was one.
    pub(super) fn take_due_stall(&mut self, stall: Option<Duration>, now: Instant) -> bool {
        let is_due = self.stall_deadline(stall).is_some_and(|deadline| deadline <= now);
        if is_due {
            self.stalled_since = None;
        }
        is_due
    }

    /// Returns the next deadline of the heartbeat.
    pub(super) fn heartbeat_deadline(&self) -> Option<Instant> {
        self.heartbeat.as_ref().map(|heartbeat| Instant::from_std(heartbeat.deadline()))
    }

    /// Asks the heartbeat what to do. A silence that is `excused` does not count.
    pub(super) fn poll_heartbeat(&mut self, now: Instant, excused: bool) -> Option<Pulse> {
        Some(self.heartbeat.as_mut()?.poll(now.into_std(), excused))
    }

    /// Returns the time of the last progress.
    pub(super) const fn spoke(&self) -> Instant {
        self.spoke
    }

    /// Records that this side has sent a ping of its own accord.
    pub(super) const fn note_ping(&mut self, now: Instant) {
        self.spoke = now;
    }

    /// Waits for the deadline: ready once it has passed.
    pub(super) fn poll_timer(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
    ) -> Poll<()> {
        self.timer.poll(cx, deadline)
    }
}
