//! What must happen although no byte comes: deadlines of calls, frames, writes, handlers and peers.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use veltix_core::limits::{FRAME_GRACE, FRAME_RATE};
use veltix_core::{PING, Pulse};

use super::{ConnectionTask, Stage};
use crate::close::CloseReason;
use crate::hub::Event;

/// A frame of which some bytes have come.
pub(super) struct BegunFrame {
    /// Since when the rest is awaited.
    since: Instant,
    /// How long the whole frame may take.
    may_take: Duration,
    /// Since when it is we who do not read.
    paused: Option<Instant>,
}

impl BegunFrame {
    fn deadline(&self) -> Instant {
        self.since + self.may_take
    }
}

impl ConnectionTask {
    /// Books a sign of life, and the frame that has begun, as of this turn.
    pub(super) fn watch(&mut self, begun: Option<u64>, is_new: bool, now: Instant) {
        self.is_alive(now);
        let since = match &self.begun {
            Some(begun) if !is_new => begun.since,
            _ => now,
        };
        self.begun = begun.map(|total| BegunFrame {
            since,
            may_take: FRAME_GRACE + Duration::from_millis(total * 1000 / FRAME_RATE),
            paused: None,
        });
    }

    /// Notes whether reading pauses or goes on: time in which we do not read is not the begun
    /// frame's, nor held against the peer's rate.
    #[inline]
    pub(super) fn note_pause(&mut self) {
        if self.begun.is_some() || self.throttle.is_some() {
            self.note_pause_of_frame_and_rate();
        }
    }

    fn note_pause_of_frame_and_rate(&mut self) {
        let reads = self.may_read();
        if let Some(throttle) = &mut self.throttle {
            throttle.note_pause(reads);
        }
        let Some(begun) = &mut self.begun else { return };
        match (reads, begun.paused) {
            (true, Some(since)) => {
                begun.since += since.elapsed();
                begun.paused = None;
            }
            (false, None) => begun.paused = Some(Instant::now()),
            _ => {}
        }
    }

    pub(super) fn is_alive(&mut self, now: Instant) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.alive(now.into_std());
        }
    }

    /// When something must happen although no byte comes.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let heartbeat = match (&self.heartbeat, &self.ending) {
            (Some(heartbeat), None) => Some(Instant::from_std(heartbeat.deadline())),
            _ => None,
        };
        // An end has a deadline of its own, and nothing else would move this one.
        let stall = self.limits().write_stall.filter(|_| self.ending.is_none());
        [
            heartbeat,
            self.silent_until(),
            self.throttle.as_ref().and_then(|throttle| throttle.until()),
            self.memory_wait.as_ref().map(|wait| wait.retry_at),
            self.begun.as_ref().filter(|_| self.ending.is_none()).map(BegunFrame::deadline),
            self.stalled_since.zip(stall).map(|(since, stall)| since + stall),
            self.write_failure.as_ref().filter(|_| self.ending.is_none()).map(|it| it.until),
            self.ending.as_ref().map(|ending| ending.deadline),
            match self.stage {
                Stage::Entering(deadline) if self.ending.is_none() => Some(deadline),
                _ => None,
            },
            self.peer.session().calls().lock().next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub(super) fn on_deadline(&mut self, now: Instant) {
        let completed = self.peer.session().calls().lock().expire(now);
        for call in completed {
            let (peer, code) = (&self.peer, call.code());
            self.endpoint.events().emit(|| Event::RequestTimedOut { peer: peer.clone(), code });
            call.complete();
        }
        if self.ending.as_ref().is_some_and(|ending| ending.deadline <= now) {
            self.cut_off();
            return;
        }
        let stalled = |since: Instant, stall| now >= since + stall;
        if self.stalled_since.zip(self.limits().write_stall).is_some_and(|(s, w)| stalled(s, w)) {
            self.stalled_since = None;
            self.begin_end(CloseReason::WriteStalled);
        }
        self.end_throttle(now);
        self.retry_memory(now);
        // A pause that ends here is not the begun frame's, which is judged below.
        self.note_pause();
        if self.ending.is_some() {
            return;
        }
        if let Some(failure) = self.write_failure.take_if(|failure| failure.until <= now) {
            // Its end began with the failure, and so did the time that handlers have.
            self.begin_end(CloseReason::Io(failure.kind));
            self.cut_off();
            return;
        }
        if self.silent_until().is_some_and(|until| until <= now) {
            self.send_plain(PING.code(), Bytes::new());
            self.spoke = now;
        }
        if matches!(self.stage, Stage::Entering(deadline) if deadline <= now) {
            self.begin_end(CloseReason::ConnectTimeout);
        } else if self.begun.as_ref().is_some_and(|begun| begun.deadline() <= now) {
            self.on_slow_frame(now);
        } else {
            self.on_silence(now);
        }
    }

    /// While we do not read, for want of room or since the peer is too fast, its pings stand unread before
    /// us, and it would take our silence for death: until when we may keep silent then. Life that
    /// we see does not count, since it is old: what was read before and is handled now.
    fn silent_until(&self) -> Option<Instant> {
        let limits = self.limits();
        let has_room = self.serial.has_room(limits.inbox_messages, limits.inbox_bytes);
        let reads = has_room && !self.is_held_back();
        if reads || self.ending.is_some() {
            return None;
        }
        limits.heartbeat.map(|interval| self.spoke + interval)
    }

    /// A begun frame is late, unless it was we who did not read.
    fn on_slow_frame(&mut self, now: Instant) {
        if self.may_read() {
            self.begin_end(CloseReason::SlowFrame);
        } else if let Some(begun) = &mut self.begun {
            begun.since = now;
            begun.paused = Some(now);
        }
    }

    fn on_silence(&mut self, now: Instant) {
        // Not counted while we do not read, or while our ping may still wait in the outbox.
        let excused = !self.may_read() || self.peer.session().outbox().sent().queued > 0;
        let Some(heartbeat) = &mut self.heartbeat else { return };
        match heartbeat.poll(now.into_std(), excused) {
            Pulse::Wait(_) => {}
            Pulse::Ping => {
                self.send_plain(PING.code(), Bytes::new());
                // That the stream takes our own question is no sign of the peer's life.
                self.written = self.peer.session().outbox().written();
            }
            Pulse::Dead => self.begin_end(CloseReason::HeartbeatTimeout),
        }
    }
}
