//! [`Liveness`]: signs of life, progress of writes, and the one timer of a connection; and the deadlines
//! at which something must happen although no byte arrives.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use veltix_core::{Heartbeat, PING, Pulse};

use super::ConnectionTask;
use super::timer::Timer;
use crate::close::CloseReason;
use crate::outbox::OutboxStatus;

/// The signs of life of a peer.
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

impl ConnectionTask {
    /// Returns the next deadline.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let mut next = Earliest(self.reading.throttled_until());
        next.add(self.reading.memory_retry());
        next.add(self.phase.ending().map(|ending| ending.deadline));
        // An end has a deadline of its own, and nothing else would move these.
        if !self.phase.is_ending() {
            next.add(self.phase.connect_deadline());
            next.add(self.liveness.heartbeat_deadline());
            next.add(self.silent_until());
            next.add(self.reading.frame_deadline());
            next.add(self.liveness.stall_deadline(self.limits().write_stall));
            next.add(self.liveness.failure_deadline());
        }
        next.0
    }

    /// Does what is due.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        if self.phase.ending().is_some_and(|ending| ending.deadline <= now) {
            self.cut_off();
            return;
        }
        if self.liveness.take_due_stall(self.limits().write_stall, now) {
            self.begin_end(CloseReason::WriteStalled);
        }
        if let Some(throttle) = self.reading.throttle() {
            throttle.end_pause(now);
        }
        self.retry_memory(now);
        // A pause that ends here does not count for the begun frame, which is judged below.
        self.note_pause();
        if self.phase.is_ending() {
            return;
        }
        if let Some(kind) = self.liveness.take_due_failure(now) {
            // The end began with the failure, and so did the time that handlers have.
            self.begin_end(CloseReason::Io(kind));
            self.cut_off();
            return;
        }
        if self.silent_until().is_some_and(|until| until <= now) {
            self.send_plain(PING.code(), Bytes::new());
            self.liveness.note_ping(now);
        }
        if self.phase.connect_deadline().is_some_and(|deadline| deadline <= now) {
            self.begin_end(CloseReason::ConnectTimeout);
        } else if self.reading.frame_deadline().is_some_and(|deadline| deadline <= now) {
            self.on_slow_frame(now);
        } else {
            self.on_silence(now);
        }
    }

    /// Returns the time until which this side may keep silent while it does not read, for want of room or
    /// since the peer is too fast. The peer's pings stand unread before it then, and the peer would take
    /// the silence for death. Life of the peer does not count here, since it is old: bytes that were read
    /// before and are handled now.
    fn silent_until(&self) -> Option<Instant> {
        let limits = self.limits();
        let has_room = self.handlers.has_room(limits.inbox_messages, limits.inbox_bytes);
        let reads = has_room && !self.reading.is_held_back();
        if reads || self.phase.is_ending() {
            return None;
        }
        limits.heartbeat.map(|interval| self.liveness.spoke() + interval)
    }

    /// A begun frame is late, unless it was this side that did not read.
    fn on_slow_frame(&mut self, now: Instant) {
        if self.may_read() {
            self.begin_end(CloseReason::SlowFrame);
        } else {
            self.reading.restart_frame(now);
        }
    }

    fn on_silence(&mut self, now: Instant) {
        // Not counted while this side does not read, or while its ping may still wait in the outbox.
        let excused = !self.may_read() || self.session().outbox().sent().queued > 0;
        match self.liveness.poll_heartbeat(now, excused) {
            None | Some(Pulse::Wait(_)) => {}
            Some(Pulse::Ping) => {
                self.send_plain(PING.code(), Bytes::new());
                let written = self.session().outbox().written();
                self.liveness.expect_written(written);
            }
            Some(Pulse::Dead) => self.begin_end(CloseReason::HeartbeatTimeout),
        }
    }
}

/// The earliest of some deadlines.
struct Earliest(Option<Instant>);

impl Earliest {
    #[inline]
    fn add(&mut self, deadline: Option<Instant>) {
        if let Some(deadline) = deadline
            && self.0.is_none_or(|earliest| deadline < earliest)
        {
            self.0 = Some(deadline);
        }
    }
}
