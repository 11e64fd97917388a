//! [`FlushScope`]: a poll of a connection's task, and the handler that this thread runs in it; and
//! [`ThreadScope`]: a thread that runs handlers beside that task.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use tokio::time::Instant;

use super::flush_list::FlushList;
use super::handover::{Handover, Noted, SharedState};
use super::publish::{self, LimitedBytes, PublishLimit, Published, PublishedApart};
use crate::outbox::{Queued, charge};
use crate::session::{Services, Session};

thread_local! {
    static CURRENT: RefCell<Current> = const { RefCell::new(Current::Nothing) };
    /// True if an outbox of the scope has enough for a large write. It is separate from `CURRENT`,
    /// since it is read after every message.
    static HEAVY: Cell<bool> = const { Cell::new(false) };
    /// True while this thread polls the future of a handler, which may wait.
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// The handler code that this thread runs.
enum Current {
    /// No handler runs.
    Nothing,
    /// A poll of a connection's task.
    Poll(Scope),
    /// A handler of this session on a thread beside the connection's task.
    Thread(OnThread),
}

struct OnThread {
    own: Arc<Session>,
    /// The way of the outboxes to the task of the connection; a thread of the pool has none.
    handover: Option<Arc<Handover>>,
    /// The bytes under limits of single routes.
    limited: Vec<LimitedBytes>,
}

struct Scope {
    /// The session whose task is polled.
    own: Own,
    /// True if the session's own outbox is to be flushed. Most polls fill no other outbox and need
    /// no list.
    own_touched: bool,
    touched: Vec<Arc<Session>>,
    /// The bytes under limits of single routes.
    limited: Vec<LimitedBytes>,
    /// The state that the broadcasts of the poll share. The scope only keeps it.
    shared: Option<SharedState>,
    /// The session whose handler, on a thread, drives the runtime of this poll.
    driver: Option<Arc<Session>>,
}

/// The session of a poll. The delivery of messages of other nodes has none. Without clusters, no message pays for it.
#[cfg(not(feature = "cluster"))]
type Own = Arc<Session>;
#[cfg(feature = "cluster")]
type Own = Option<Arc<Session>>;

impl Scope {
    /// Returns the session of the poll.
    #[inline]
    fn own(&self) -> Option<&Arc<Session>> {
        #[cfg(not(feature = "cluster"))]
        return Some(&self.own);
        #[cfg(feature = "cluster")]
        self.own.as_ref()
    }

    /// Returns whether the task of this session is polled.
    fn is_of(&self, session: &Arc<Session>) -> bool {
        self.own().is_some_and(|own| Arc::ptr_eq(own, session))
    }
}

impl Current {
    /// Returns the session whose handler runs on this thread, also if that drives a runtime of its
    /// own.
    const fn on_thread(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Nothing => None,
            Self::Poll(scope) => scope.driver.as_ref(),
            Self::Thread(thread) => Some(&thread.own),
        }
    }

    /// Returns whether a handler of such a session runs.
    fn is_of(&self, is_it: impl Fn(&Arc<Session>) -> bool) -> bool {
        matches!(self, Self::Poll(scope) if scope.own().is_some_and(&is_it))
            || self.on_thread().is_some_and(is_it)
    }
}

/// Schedules the flush of a frame that was just queued for this session.
#[inline]
pub(crate) fn schedule(session: &Arc<Session>, queued: Queued) {
    // Behind another frame, and without enough for a large write, it leaves in that frame's flush.
    let is_noted = (queued.first || queued.heavy) && is_noted(session, queued);
    if queued.first && !is_noted {
        session.outbox().wake_owner();
    }
}

/// Schedules the flush of a frame that a handler may have sent to another peer: it counts as
/// published.
pub(crate) fn schedule_published(session: &Arc<Session>, queued: Queued, length: usize) {
    schedule(session, queued);
    let is_own = CURRENT.with_borrow(|current| current.is_of(|it| Arc::ptr_eq(it, session)));
    if !is_own {
        let cost = charge(length);
        publish::published(cost, if queued.waits { cost } else { 0 });
    }
}

/// Schedules the flush of a frame that no other frame will follow soon: outside a poll it is
/// flushed at once.
pub(crate) fn schedule_alone(session: &Arc<Session>, queued: Queued) {
    if is_polling() {
        is_noted(session, queued);
    } else if queued.first {
        let _inside = session.services().runtime().enter();
        session.outbox().flush();
    }
}

/// Notes the outbox in the scope of this thread. Returns whether that scope flushes it.
fn is_noted(session: &Arc<Session>, queued: Queued) -> bool {
    let noted = CURRENT.with_borrow_mut(|current| match current {
        Current::Nothing => Noted::No,
        Current::Poll(scope) => {
            let is_own = scope.is_of(session);
            if queued.heavy {
                mark_heavy();
            }
            if queued.first && is_own {
                scope.own_touched = true;
            } else if queued.first {
                scope.touched.push(Arc::clone(session));
            }
            Noted::Yes
        }
        Current::Thread(OnThread { handover: Some(handover), .. }) if queued.first => {
            handover.note(session)
        }
        Current::Thread(_) => Noted::No,
    });
    match noted {
        Noted::No => false,
        Noted::Yes => true,
        Noted::Wakes(handover) => {
            handover.wake();
            true
        }
    }
}

/// Returns whether this thread polls a connection's task.
fn is_polling() -> bool {
    CURRENT.with_borrow(|current| matches!(current, Current::Poll(_)))
}

/// Returns whether broadcasts on this thread may share state: something ends it and flushes their
/// outboxes.
pub(crate) fn is_sharing() -> bool {
    CURRENT.with_borrow(|current| match current {
        Current::Nothing => false,
        Current::Poll(_) => true,
        Current::Thread(thread) => thread.handover.as_ref().is_some_and(|it| it.is_open()),
    })
}

/// Takes the state that the broadcasts of the poll, or of the handlers of a thread, share.
pub(crate) fn take_shared() -> Option<SharedState> {
    CURRENT.with_borrow_mut(|current| match current {
        Current::Nothing => None,
        Current::Poll(scope) => scope.shared.take(),
        Current::Thread(thread) => thread.handover.as_ref()?.take_shared(),
    })
}

/// Keeps the state that the broadcasts of the poll share, until the poll takes it before its flush.
/// Returns the state of a broadcast that was made in between, by a waker or a destructor of the
/// application: dropping it may run such code again, which must not happen here.
#[must_use = "finish the state that is replaced"]
pub(crate) fn keep_shared(shared: SharedState) -> Option<SharedState> {
    let (between, woken) = CURRENT.with_borrow_mut(|current| match current {
        Current::Nothing | Current::Thread(OnThread { handover: None, .. }) => (Some(shared), None),
        Current::Poll(scope) => (scope.shared.replace(shared), None),
        Current::Thread(OnThread { handover: Some(handover), .. }) => {
            let (between, wakes) = handover.keep_shared(shared);
            (between, wakes.then(|| Arc::clone(handover)))
        }
    });
    if let Some(handover) = woken {
        handover.wake();
    }
    between
}

/// Notes that an outbox of this scope has enough for a large write.
pub(crate) fn mark_heavy() {
    HEAVY.set(true);
}

/// Returns whether the caller runs inside a handler of this session's connection, other than one on a
/// thread.
pub(crate) fn is_inside(session: &Arc<Session>) -> bool {
    CURRENT.with_borrow(|current| matches!(current, Current::Poll(scope) if scope.is_of(session)))
}

/// Begins a poll of a handler's future. Inside it nothing waits on this thread. Returns the state before
/// it, for [`leave_future`]; in between nothing unwinds.
#[inline]
pub(crate) fn enter_future() -> bool {
    MAY_WAIT.replace(true)
}

/// Begins a call of a plain handler inside the poll of a future, as layers make it. Returns the state before
/// it, for [`leave_future`].
pub(crate) fn enter_plain() -> bool {
    MAY_WAIT.replace(false)
}

/// Ends a poll of a handler's future.
#[inline]
pub(crate) fn leave_future(outer: bool) {
    MAY_WAIT.set(outer);
}

/// Returns whether the caller is a plain handler in the task of its connection. Such a handler cannot
/// wait for anything that the task does: it holds the task.
pub(crate) fn is_in_plain_handler() -> bool {
    !MAY_WAIT.get() && is_polling()
}

/// Returns whether the caller runs inside a handler of this side, one on a thread included.
pub(crate) fn is_within(services: &Arc<Services>) -> bool {
    CURRENT.with_borrow(|current| current.is_of(|it| Arc::ptr_eq(it.services(), services)))
}

/// Runs a part of a handler whose route limits the bytes that it publishes.
pub(crate) fn limited<R>(limit: PublishLimit, part: impl FnOnce() -> R) -> R {
    let before = publish::replace(Published::NOTHING);
    let result = part();
    let Published { all: bytes, .. } = publish::replace(before);
    if bytes > 0 {
        CURRENT.with_borrow_mut(|current| {
            let limited = match current {
                Current::Nothing => return,
                Current::Poll(scope) => &mut scope.limited,
                Current::Thread(thread) => &mut thread.limited,
            };
            limited.push(LimitedBytes { limit, bytes });
            publish::replace(Published { limited: before.limited + bytes, ..before });
        });
    }
    result
}

/// Counts what handlers on a thread have published as published by this poll.
pub(crate) fn published_apart(apart: PublishedApart) {
    let PublishedApart { published, limited } = apart;
    publish::published(published.all as usize, published.waiting as usize);
    if limited.is_empty() {
        return;
    }
    CURRENT.with_borrow_mut(|current| {
        if let Current::Poll(scope) = current {
            scope.limited.extend(limited);
            let counts = publish::current();
            publish::replace(Published { limited: counts.limited + published.limited, ..counts });
        }
    });
}

/// Forgets the outboxes that the poll has filled. Only a planted bug calls it.
#[cfg(veltix_planted_bugs)]
pub(crate) fn forget_touched() {
    CURRENT.with_borrow_mut(|current| {
        if let Current::Poll(scope) = current {
            scope.own_touched = false;
            scope.touched.clear();
        }
    });
}

/// The guard of a poll: see the module's documentation.
pub(crate) struct FlushScope {
    /// The outer poll. A poll runs inside a poll when a handler drives a runtime of its own.
    outer: Current,
    outer_heavy: bool,
    outer_may_wait: bool,
    outer_published: Published,
    left: bool,
}

impl FlushScope {
    pub(crate) fn enter(own: &Arc<Session>) -> Self {
        let own = Arc::clone(own);
        #[cfg(feature = "cluster")]
        let own = Some(own);
        Self::enter_with(own)
    }

    /// Enters a scope that belongs to no connection.
    #[cfg(feature = "cluster")]
    pub(crate) fn enter_without_own() -> Self {
        Self::enter_with(None)
    }

    fn enter_with(own: Own) -> Self {
        let scope = Scope {
            own,
            own_touched: false,
            touched: Vec::new(),
            limited: Vec::new(),
            shared: None,
            driver: None,
        };
        let outer = CURRENT.replace(Current::Poll(scope));
        if let Some(driver) = outer.on_thread() {
            CURRENT.with_borrow_mut(|current| {
                if let Current::Poll(scope) = current {
                    scope.driver = Some(Arc::clone(driver));
                }
            });
        }
        Self {
            outer,
            outer_heavy: HEAVY.replace(false),
            outer_may_wait: MAY_WAIT.replace(false),
            outer_published: publish::replace(Published::NOTHING),
            left: false,
        }
    }

    /// Returns whether an outbox has enough for a large write, so that reading should pause for a
    /// flush.
    pub(crate) fn is_heavy(&self) -> bool {
        HEAVY.get()
    }

    /// Returns the bytes that were published in the scope so far.
    #[inline]
    #[allow(clippy::unused_self, reason = "the scope of this thread is this one")]
    pub(crate) fn published(&self) -> Published {
        publish::current()
    }

    /// Takes the state that the broadcasts of the poll share.
    #[allow(clippy::unused_self, reason = "the scope of this thread is this one")]
    pub(crate) fn take_shared(&self) -> Option<SharedState> {
        take_shared()
    }

    /// Takes the bytes that were published under limits of single routes.
    #[allow(clippy::unused_self, reason = "the scope of this thread is this one")]
    pub(crate) fn take_limited(&self) -> Vec<LimitedBytes> {
        CURRENT.with_borrow_mut(|current| match current {
            Current::Poll(scope) => std::mem::take(&mut scope.limited),
            _ => Vec::new(),
        })
    }

    /// Ends the scope and flushes its own outbox; `now` is the current time. Returns the other
    /// outboxes that the poll filled.
    pub(crate) fn leave(mut self, now: Instant) -> FlushList {
        let Current::Poll(mut scope) = self.close() else {
            return FlushList::default();
        };
        // From here on the list is a guard: a flush wakes tasks that wait for room, and a waker may
        // panic.
        let mut flushes = FlushList(std::mem::take(&mut scope.touched).into());
        if fault!("flushes_lost") {
            flushes.0.clear();
            return flushes;
        }
        if let Some(own) = scope.own().filter(|_| scope.own_touched) {
            own.outbox().flush_at(now);
        }
        flushes
    }

    fn close(&mut self) -> Current {
        self.left = true;
        HEAVY.set(self.outer_heavy);
        MAY_WAIT.set(self.outer_may_wait);
        publish::replace(self.outer_published);
        CURRENT.replace(std::mem::replace(&mut self.outer, Current::Nothing))
    }
}

impl Drop for FlushScope {
    fn drop(&mut self) {
        if !self.left {
            // The poll panicked: the tasks are woken, by the dropped list too.
            let Current::Poll(scope) = self.close() else { return };
            if let Some(own) = scope.own().filter(|_| scope.own_touched) {
                own.outbox().wake_owner();
            }
            drop(FlushList(scope.touched.into()));
        }
    }
}

/// The guard of a thread that runs handlers beside the task of their connection: a thread of the pool,
/// or one of `SocketCore::Threading`. It flushes no outbox: a handler may block the thread, so its frames
/// do not wait for the end of anything.
pub(crate) struct ThreadScope {
    outer: Current,
    outer_published: Published,
}

impl ThreadScope {
    /// Enters the scope of a thread of the pool.
    pub(crate) fn enter(own: &Arc<Session>) -> Self {
        Self::enter_with(own, None)
    }

    /// Enters the scope of a thread whose connection's task flushes the outboxes.
    pub(crate) fn enter_with(own: &Arc<Session>, handover: Option<Arc<Handover>>) -> Self {
        let own = Arc::clone(own);
        let current = Current::Thread(OnThread { own, handover, limited: Vec::new() });
        Self {
            outer: CURRENT.replace(current),
            outer_published: publish::replace(Published::NOTHING),
        }
    }

    /// Takes the bytes that the handlers have published since the last call.
    #[allow(clippy::unused_self, reason = "the scope of this thread is this one")]
    pub(crate) fn take_published(&self) -> PublishedApart {
        let published = publish::replace(Published::NOTHING);
        let limited = CURRENT.with_borrow_mut(|current| match current {
            Current::Thread(thread) => std::mem::take(&mut thread.limited),
            _ => Vec::new(),
        });
        PublishedApart { published, limited }
    }
}

impl Drop for ThreadScope {
    fn drop(&mut self) {
        publish::replace(self.outer_published);
        CURRENT.set(std::mem::replace(&mut self.outer, Current::Nothing));
    }
}
