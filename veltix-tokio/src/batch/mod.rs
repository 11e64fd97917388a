//! What a connection's task fills during one poll, and the flush that follows.
//!
//! Whoever is the first to queue a frame in an outbox must see to a flush. Within a poll of a
//! connection's task the outbox is noted here and flushed once, at the end, with all that was
//! queued meanwhile in one write. Anywhere else (a spawned task, a blocking handler, a foreign
//! thread) the outbox's own task is woken, but for a call that is alone: its asker writes it.
//!
//! However a poll ends, no outbox that it touched is forgotten: what was noted is a guard that
//! flushes, or wakes, on drop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use veltix_core::PeerId;
use veltix_core::limits::FLUSH_TIME;

use crate::fan_out::FanOut;
use crate::outbox::{Queued, charge};
use crate::planted::planted;
use crate::router::RouteId;
use crate::session::{Services, Session};

/// How many flushes pass between two looks at the clock.
const LOOK_EVERY: usize = 8;

thread_local! {
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
    /// An outbox that the poll has filled has enough for a large write. Beside the rest, since it is
    /// asked for after every message.
    static HEAVY: Cell<bool> = const { Cell::new(false) };
    /// What is published by the handlers that run on this thread.
    static PUBLISHED: Cell<Published> = const { Cell::new(Published::NOTHING) };
    /// What was published under routes' own limits. Beside the polls, since few have it, and by their
    /// peers, since a poll may run inside another.
    static LIMITED: RefCell<Vec<(PeerId, Limited)>> = const { RefCell::new(Vec::new()) };
    static BLOCKING: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) };
}

/// A poll of a connection's task that is under way on this thread.
struct Scope {
    /// Whose task it is.
    own: Arc<Session>,
    /// Other peers' outboxes are not flushed by this poll: its task has a thread of its own.
    own_only: bool,
    /// Its own outbox is to be flushed. Most batches touch no other, and need no list then.
    own_touched: bool,
    touched: Vec<Arc<Session>>,
    /// What its broadcasts have in common. It goes before the touched outboxes are flushed.
    fan_out: FanOut,
}

/// What handlers have put into the outboxes of peers other than their own, in bytes, where each frame
/// counts as much as in an outbox.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Published {
    /// All of it.
    all: u64,
    /// Of that, what waits for readers that are behind.
    pub(crate) waiting: u64,
    /// What was published under routes' own limits, and is part of neither.
    limited: u64,
}

impl Published {
    const NOTHING: Self = Self { all: 0, waiting: 0, limited: 0 };

    /// Whether some of it is to be charged to somebody.
    pub(crate) const fn is_charged(self) -> bool {
        self.waiting | self.limited > 0
    }
}

/// What was published under a route's own limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limited {
    pub(crate) route: RouteId,
    /// Bytes a second.
    pub(crate) limit: u64,
    pub(crate) bytes: u64,
}

/// Sees to the flush of a frame that was just queued for this peer.
#[inline]
pub(crate) fn queued(session: &Arc<Session>, queued: Queued) {
    // Behind another frame, and not too many of them: it goes out with those.
    if queued.first || queued.heavy {
        note(session, queued);
    }
}

/// The same for a frame that nothing else will follow soon: outside a poll it is flushed at once.
fn queued_alone(session: &Arc<Session>, queued: Queued) {
    if !is_noted(session, queued) && queued.first {
        session.outbox().flush();
    }
}

/// Sees to what was queued for a peer: its flush, and that the connection's task reports it if
/// other frames were dropped for it.
pub(crate) fn see_to(session: &Arc<Session>, frame: Queued) {
    queued(session, frame);
    note_dropped(session, frame);
}

/// The same for a frame of this length that a handler may have sent, of another peer.
pub(crate) fn see_to_published(session: &Arc<Session>, frame: Queued, length: usize) {
    see_to(session, frame);
    published_to(session, length, frame);
}

/// The same for a frame that nothing else will follow soon.
pub(crate) fn see_to_alone(session: &Arc<Session>, frame: Queued) {
    queued_alone(session, frame);
    note_dropped(session, frame);
}

fn note_dropped(session: &Arc<Session>, frame: Queued) {
    if frame.dropped > 0 {
        session.outbox().note_overflow();
    }
}

fn note(session: &Arc<Session>, queued: Queued) {
    if !is_noted(session, queued) && queued.first {
        session.outbox().wake_owner();
    }
}

/// Notes the outbox for the poll that is under way, if that flushes it.
fn is_noted(session: &Arc<Session>, queued: Queued) -> bool {
    CURRENT.with_borrow_mut(|current| match current {
        Some(scope) if !scope.own_only || Arc::ptr_eq(&scope.own, session) => {
            if queued.heavy {
                heavy();
            }
            if queued.first && Arc::ptr_eq(&scope.own, session) {
                scope.own_touched = true;
            } else if queued.first {
                scope.touched.push(Arc::clone(session));
            }
            true
        }
        _ => false,
    })
}

/// Notes that an outbox of this batch has enough for a large write.
pub(crate) fn heavy() {
    HEAVY.set(true);
}

/// Counts what a broadcast has put into outboxes, and how much of it has to wait.
#[inline]
pub(crate) fn published(all: usize, waiting: usize) {
    let mut published = PUBLISHED.get();
    published.all += all as u64;
    published.waiting += waiting as u64;
    PUBLISHED.set(published);
}

/// The same for a frame to one peer, unless that is the handler's own.
fn published_to(session: &Arc<Session>, length: usize, queued: Queued) {
    let is_blocking =
        || BLOCKING.with_borrow(|own| own.as_ref().is_some_and(|own| Arc::ptr_eq(own, session)));
    let is_own = is_inside(session) || is_blocking();
    if !is_own {
        let cost = charge(length);
        published(cost, if queued.waits { cost } else { 0 });
    }
}

/// Counts what was published on another thread.
pub(crate) fn published_elsewhere(elsewhere: Published) {
    published(elsewhere.all as usize, elsewhere.waiting as usize);
}

/// Runs a part of a handler whose route has a limit of its own for what it publishes.
pub(crate) fn limited<R>(route: RouteId, limit: u64, part: impl FnOnce() -> R) -> R {
    let before = PUBLISHED.replace(Published::NOTHING);
    let result = part();
    let Published { all: bytes, .. } = PUBLISHED.replace(before);
    if bytes > 0 {
        let own = CURRENT.with_borrow(|current| current.as_ref().map(|scope| scope.own.id()));
        if let Some(own) = own {
            PUBLISHED.set(Published { limited: before.limited + bytes, ..before });
            LIMITED.with_borrow_mut(|all| all.push((own, Limited { route, limit, bytes })));
        }
    }
    result
}

/// Calls this with what the broadcasts of the batch have in common; where others' outboxes are not
/// flushed by a batch, with nothing.
pub(crate) fn with_fan_out<R>(call: impl FnOnce(&mut FanOut) -> R) -> R {
    let swap = |fan_out: &mut FanOut| {
        CURRENT.with_borrow_mut(|current| match current {
            Some(scope) if !scope.own_only => std::mem::swap(&mut scope.fan_out, fan_out),
            _ => {}
        });
    };
    // Taken out, since the call touches outboxes; and nothing must be left of it outside a batch.
    let mut fan_out = FanOut::Single;
    swap(&mut fan_out);
    let result = call(&mut fan_out);
    swap(&mut fan_out);
    result
}

/// Whether the caller runs inside a handler of this peer's connection.
pub(crate) fn is_inside(session: &Arc<Session>) -> bool {
    CURRENT.with_borrow(|current| {
        current.as_ref().is_some_and(|scope| Arc::ptr_eq(&scope.own, session))
    })
}

/// Whether the caller runs inside a handler of a connection of this endpoint, a blocking one
/// included.
pub(crate) fn is_within(services: &Arc<Services>) -> bool {
    let of_side = |session: &Arc<Session>| Arc::ptr_eq(session.services(), services);
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|scope| of_side(&scope.own)))
        || BLOCKING.with_borrow(|blocking| blocking.as_ref().is_some_and(of_side))
}

/// Forgets what the poll that is under way has touched, as only a planted bug does.
#[cfg(veltix_planted_bugs)]
pub(crate) fn forget_touched() {
    CURRENT.with_borrow_mut(|current| {
        if let Some(scope) = current {
            scope.own_touched = false;
            scope.touched.clear();
        }
    });
}

/// Runs a blocking handler of this peer, and says what it has published. It has no batch: what it
/// sends goes out at once.
pub(crate) fn blocking<R>(session: &Arc<Session>, handler: impl FnOnce() -> R) -> (R, Published) {
    BLOCKING.set(Some(Arc::clone(session)));
    PUBLISHED.set(Published::NOTHING);
    let result = handler();
    BLOCKING.set(None);
    (result, PUBLISHED.get())
}

/// The guard of a poll: see the module.
pub(crate) struct Batch {
    /// A poll inside a poll happens when a handler drives a runtime of its own.
    outer: Option<Scope>,
    outer_heavy: bool,
    outer_published: Published,
    left: bool,
}

impl Batch {
    pub(crate) fn enter(own: &Arc<Session>, own_only: bool) -> Self {
        let (own, fan_out) = (Arc::clone(own), FanOut::default());
        let scope = Scope { own, own_only, own_touched: false, touched: Vec::new(), fan_out };
        let outer = CURRENT.replace(Some(scope));
        let outer_published = PUBLISHED.replace(Published::NOTHING);
        Self { outer, outer_heavy: HEAVY.replace(false), outer_published, left: false }
    }

    /// Whether an outbox has enough for a large write, so that reading should pause for it.
    pub(crate) fn is_heavy(&self) -> bool {
        HEAVY.get()
    }

    /// What was published in it so far.
    #[inline]
    #[allow(clippy::unused_self, reason = "it is asked of a poll that is under way")]
    pub(crate) fn published(&self) -> Published {
        PUBLISHED.get()
    }

    /// Takes out what was published under routes' own limits.
    #[allow(clippy::unused_self, reason = "it is asked of a poll that is under way")]
    pub(crate) fn take_limited(&self, own: PeerId) -> Vec<Limited> {
        let of_own = |(peer, _): &mut (PeerId, Limited)| *peer == own;
        LIMITED.with_borrow_mut(|all| all.extract_if(.., of_own).map(|(_, part)| part).collect())
    }

    /// Ends the poll, and flushes its own outbox at this time, more or less; the others that it touched are still to be
    /// flushed.
    pub(crate) fn leave(mut self, now: Instant) -> Flushes {
        let Some(Scope { own, own_touched, touched, fan_out, .. }) = self.close() else {
            return Flushes::default();
        };
        // From here on a guard: a flush wakes who waits for room, and a waker may panic.
        let mut flushes = Flushes(touched.into());
        drop(fan_out);
        if planted!("flushes_lost") {
            flushes.0.clear();
            return flushes;
        }
        if own_touched {
            own.outbox().flush_at(now);
        }
        flushes
    }

    fn close(&mut self) -> Option<Scope> {
        self.left = true;
        HEAVY.set(self.outer_heavy);
        PUBLISHED.set(self.outer_published);
        CURRENT.replace(self.outer.take())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.left {
            // The poll panicked: the tasks are woken, by the dropped list too.
            let Some(scope) = self.close() else { return };
            if scope.own_touched {
                scope.own.outbox().wake_owner();
            }
            drop(Flushes(scope.touched.into()));
        }
    }
}

/// Outboxes that a batch filled and that are yet to be flushed. Dropped, it wakes their tasks.
#[derive(Debug, Default)]
pub(crate) struct Flushes(VecDeque<Arc<Session>>);

impl Flushes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over what another batch left.
    pub(crate) fn extend(&mut self, mut other: Self) {
        if self.0.is_empty() {
            if !other.0.is_empty() {
                std::mem::swap(&mut self.0, &mut other.0);
            }
        } else {
            self.0.append(&mut other.0);
        }
    }

    /// Flushes outboxes until all are done, or [`FLUSH_TIME`] has gone by: a broadcast to thousands
    /// must not hold a worker for longer. The first touched is the first flushed.
    pub(crate) fn flush_some(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let start = Instant::now();
        let (mut now, mut done) = (start, 0);
        // Each leaves the list after its flush, not before: if that panics, it is woken as well.
        while let Some(session) = self.0.front() {
            session.outbox().flush_at(now);
            self.0.pop_front();
            done += 1;
            if done % LOOK_EVERY == 0 && !self.0.is_empty() {
                now = Instant::now();
                if now - start >= FLUSH_TIME {
                    return;
                }
            }
        }
        // An idle connection holds no list.
        self.0 = VecDeque::new();
    }
}

impl Drop for Flushes {
    fn drop(&mut self) {
        for session in self.0.drain(..) {
            session.outbox().wake_owner();
        }
    }
}

#[cfg(test)]
mod tests;
