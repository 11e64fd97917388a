//! A flush that waits for one turn of the other tasks, so that more goes along with it.
//!
//! A batch of answers wakes many tasks, and each is likely to ask again. The first that does wakes
//! the connection's task, which a runtime may well run before the others: it would write that frame
//! alone, and a write costs as much as fifty frames in one. So the connection's task goes to the
//! end of its worker's queue first, behind the tasks that it woke. A call that is alone waits for
//! nobody, and nothing waits twice.

use std::task::Context;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cork {
    /// Answers that this turn's batch has given to calls.
    answers: u32,
    /// The other tasks have had a turn since the task's last.
    had: bool,
}

impl Cork {
    /// Counts an answer that was given to its call.
    pub(super) fn count_answer(&mut self) {
        self.answers += 1;
    }

    /// After a batch: has the task polled again, behind those who were answered.
    pub(super) fn after_batch(&mut self, cx: &Context<'_>) {
        if std::mem::take(&mut self.answers) > 1 {
            self.hold(cx);
        }
    }

    /// Whether what is queued waits for a turn of the other tasks, since it may be more then.
    pub(super) fn holds(&mut self, cx: &Context<'_>, may_grow: impl FnOnce() -> bool) -> bool {
        if !std::mem::take(&mut self.had) && may_grow() {
            self.hold(cx);
        }
        self.had
    }

    fn hold(&mut self, cx: &Context<'_>) {
        self.had = true;
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
        cork.count_answer();
        cork.after_batch(cx);
        assert_eq!(wakes.take(), 0, "one answer wakes one task: it is not waited for");
        assert!(cork.holds(cx, || true));
        assert!(!cork.holds(cx, || true));
        assert_eq!(wakes.take(), 1);
        cork.count_answer();
        cork.count_answer();
        cork.after_batch(cx);
        assert_eq!(wakes.take(), 1, "behind those who were answered");
        assert!(!cork.holds(cx, || true));
        cork.after_batch(cx);
        assert_eq!(wakes.take(), 0, "the answers of another batch do not count");
        assert!(cork.holds(cx, || true));
        assert_eq!(wakes.take(), 1);
    }
}
