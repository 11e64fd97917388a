//! What must happen although no byte arrives: the deadlines of calls, frames, writes, handlers and peers.

use bytes::Bytes;
use tokio::time::Instant;
use veltix_core::{PING, Pulse};

use super::ConnectionTask;
use crate::close::CloseReason;
use crate::hub::Event;

impl ConnectionTask {
    /// Returns the next deadline.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let mut next = Earliest(self.session().calls().lock().next_deadline());
        next.add(self.reading.throttled_until());
        next.add(self.reading.memory_retry());
        next.add(self.phase.deadline());
        // An end has a deadline of its own, and nothing else would move these.
        if !self.phase.is_ending() {
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
        self.expire_calls(now);
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
        if self.phase.deadline().is_some_and(|deadline| deadline <= now) {
            self.begin_end(CloseReason::ConnectTimeout);
        } else if self.reading.frame_deadline().is_some_and(|deadline| deadline <= now) {
            self.on_slow_frame(now);
        } else {
            self.on_silence(now);
        }
    }

    /// Completes the calls whose time has passed.
    fn expire_calls(&self, now: Instant) {
        let completed = self.session().calls().lock().expire(now);
        for call in completed {
            let (peer, code) = (&self.peer, call.code());
            self.endpoint.events().emit(|| Event::RequestTimedOut { peer: peer.clone(), code });
            call.complete();
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
