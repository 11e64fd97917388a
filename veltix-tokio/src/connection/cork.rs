//! [`Cork`]: a flush that waits for one turn of the other tasks.

use std::mem;
use std::task::Context;

/// A flush that waits for one turn of the other tasks, so that more frames go along with it.
///
/// A batch of answers wakes many tasks, and each is likely to ask again. The first that does wakes
/// the connection's task, which a runtime may well run before the others: it would write that frame
/// alone, and a write costs as much as fifty frames in one. So the connection's task goes to the
/// end of its worker's queue first, behind the tasks that it woke. A call that is alone waits for no other
/// task, and nothing waits twice.
#[derive(Debug, Default)]
pub(super) struct Cork {
    /// The other tasks have had a turn since the task's last.
    had_turn: bool,
}

impl Cork {
    /// Schedules the task behind the tasks that a batch of this many `answers` has woken, if they are
    /// several.
    pub(super) fn after_batch(&mut self, cx: &Context<'_>, answers: usize) {
        if answers > 1 {
            self.hold(cx);
        }
    }

    /// Notes that nothing is queued.
    pub(super) fn release(&mut self) {
        mem::take(&mut self.had_turn);
    }

    /// Returns whether queued frames wait for a turn of the other tasks, since they may become more.
    pub(super) fn holds(&mut self, cx: &Context<'_>, may_grow: impl FnOnce() -> bool) -> bool {
        if !mem::take(&mut self.had_turn) && may_grow() {
            self.hold(cx);
        }
        self.had_turn
    }

    fn hold(&mut self, cx: &Context<'_>) {
        self.had_turn = true;
        // A task that wakes itself is queued behind all that are ready.
        cx.waker().wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// The waker of the connection's task: it counts.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Wakes {
        fn new() -> (Arc<Self>, Waker) {
            let wakes = Arc::<Self>::default();
            (Arc::clone(&wakes), Waker::from(wakes))
        }

        fn take(&self) -> usize {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    #[test]
    fn a_flush_waits_once_for_those_who_may_ask() {
        let ((wakes, waker), cork) = (Wakes::new(), &mut Cork::default());
        let cx = &Context::from_waker(&waker);
        assert!(!cork.holds(cx, || false), "nothing is queued, or a call is alone");
        assert_eq!(wakes.take(), 0);
        for _ in 0..2 {
            assert!(cork.holds(cx, || true));
            assert_eq!(wakes.take(), 1, "whoever holds a flush comes back for it");
            assert!(!cork.holds(cx, || true), "nothing waits twice");
            assert_eq!(wakes.take(), 0);
        }
    }

    #[test]
    fn after_two_answers_the_others_have_had_their_turn() {
        let ((wakes, waker), cork) = (Wakes::new(), &mut Cork::default());
        let cx = &Context::from_waker(&waker);
        cork.after_batch(cx, 1);
        assert_eq!(wakes.take(), 0, "one answer wakes one task: it is not waited for");
        assert!(cork.holds(cx, || true));
        assert!(!cork.holds(cx, || true));
        assert_eq!(wakes.take(), 1);
        cork.after_batch(cx, 2);
        assert_eq!(wakes.take(), 1, "behind those who were answered");
        assert!(!cork.holds(cx, || true));
        cork.after_batch(cx, 0);
        assert_eq!(wakes.take(), 0, "the answers of another batch do not count");
        assert!(cork.holds(cx, || true));
        assert_eq!(wakes.take(), 1);
    }
}
