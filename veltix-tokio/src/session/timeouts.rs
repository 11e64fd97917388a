//! [`Timeouts`]: the deadlines of a connection's calls, and their alarm.
//!
//! The alarm is a timer whose waker ends the late calls itself. So a deadline holds even if a handler
//! blocks the thread of the connection's task or of the caller: any other thread of the runtime rings
//! it. Most calls set no alarm, since an earlier deadline has set one already.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep};
use veltix_core::limits::EVENT_BUFFER;

use super::Session;

/// The number of deadlines kept beyond those of pending calls before stale ones are removed.
pub(super) const STALE_DEADLINES: usize = 64;

/// A timer that has been set.
pub(crate) type Alarm = Pin<Box<Sleep>>;

#[derive(Debug, Default)]
pub(super) struct Timeouts {
    /// Deadlines, earliest first. The deadline of a completed call is stale until it is removed or
    /// due.
    deadlines: BinaryHeap<Reverse<(Instant, u16)>>,
    alarm: Option<Alarm>,
    /// Codes of late calls of which the connection's task has to tell.
    late: Vec<u16>,
}

impl Timeouts {
    /// Adds a deadline. Returns it if no alarm rings until then.
    pub(super) fn add(&mut self, deadline: Instant, id: u16) -> Option<Instant> {
        self.deadlines.push(Reverse((deadline, id)));
        let is_set = self.alarm.as_ref().is_some_and(|alarm| alarm.deadline() <= deadline);
        (!is_set).then_some(deadline)
    }

    /// Returns the number of deadlines.
    pub(super) fn len(&self) -> usize {
        self.deadlines.len()
    }

    /// Removes the deadlines of completed calls, so that their number stays within a constant
    /// factor of the number of pending calls.
    pub(super) fn sweep(&mut self, is_live: impl Fn(Instant, u16) -> bool) {
        let mut deadlines = std::mem::take(&mut self.deadlines);
        deadlines.retain(|Reverse((deadline, id))| is_live(*deadline, *id));
        self.deadlines = deadlines;
    }

    /// Takes the id of a call whose deadline has passed.
    pub(super) fn take_due(
        &mut self,
        now: Instant,
        is_live: impl Fn(Instant, u16) -> bool,
    ) -> Option<u16> {
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            let live = is_live(deadline, id);
            if live && deadline > now {
                return None;
            }
            self.deadlines.pop();
            if live {
                return Some(id);
            }
        }
        None
    }

    /// Returns the earliest deadline. That of a completed call counts too: one useless alarm at most
    /// per timeout costs less than the removal of each deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Returns the id of a pending call.
    pub(super) fn any(&self) -> Option<u16> {
        self.deadlines.peek().map(|Reverse((_, id))| *id)
    }

    pub(super) fn clear(&mut self) {
        self.deadlines.clear();
    }

    /// Keeps the alarm if it is the earlier one. Returns the other one.
    pub(super) fn set(&mut self, alarm: Alarm) -> Option<Alarm> {
        match &self.alarm {
            Some(set) if set.deadline() <= alarm.deadline() => Some(alarm),
            _ => self.alarm.replace(alarm),
        }
    }

    /// Takes the alarm that has rung.
    pub(super) fn take_alarm(&mut self) -> Option<Alarm> {
        self.alarm.take()
    }

    /// Notes late calls. A task that is held up for long tells of as many as the stream of events
    /// holds: subscribers would lose the others anyway.
    pub(super) fn note_late(&mut self, codes: impl Iterator<Item = u16>) {
        self.late.extend(codes.take(EVENT_BUFFER.saturating_sub(self.late.len())));
    }

    pub(super) fn take_late(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.late)
    }

    /// Returns whether nothing is left, so that the connection needs no memory for calls.
    pub(super) fn is_empty(&self) -> bool {
        self.deadlines.is_empty() && self.alarm.is_none() && self.late.is_empty()
    }
}

/// The waker of an alarm.
struct Ring(Weak<Session>);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        if let Some(session) = self.0.upgrade() {
            session.expire_calls();
        }
    }
}

/// Sets an alarm for this time. No lock is held: setting a timer may wake the runtime.
pub(crate) fn set_alarm(session: &Arc<Session>, at: Instant) {
    let runtime = session.services().runtime();
    let mut alarm = Box::pin(runtime.sleep_until(at));
    let waker = Waker::from(Arc::new(Ring(Arc::downgrade(session))));
    // Unconstrained: a task whose budget is used up would set no timer.
    let rings = Pin::new(&mut unconstrained(alarm.as_mut())).poll(&mut Context::from_waker(&waker));
    match rings {
        Poll::Ready(()) => session.expire_calls(),
        Poll::Pending => {
            let other = session.calls().lock().keep_alarm(alarm);
            drop(other);
        }
    }
}
