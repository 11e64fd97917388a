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
pub(super) struct Deferral {
    /// Answers that this turn's batch has given to calls.
    answers: u32,
    /// The other tasks have had a turn since the task's last.
    had: bool,
}

impl Deferral {
    /// Counts an answer that was given to its call.
    pub(super) fn count_answer(&mut self) {
        self.answers += 1;
    }

    /// After a batch: has the task polled again, behind those who were answered.
    pub(super) fn after_batch(&mut self, cx: &Context<'_>) {
        if std::mem::take(&mut self.answers) > 1 {
            self.defer(cx);
        }
    }

    /// Whether what is queued waits for a turn of the other tasks, since it may be more then.
    pub(super) fn defers(&mut self, cx: &Context<'_>, may_grow: impl FnOnce() -> bool) -> bool {
        if !std::mem::take(&mut self.had) && may_grow() {
            self.defer(cx);
        }
        self.had
    }

    fn defer(&mut self, cx: &Context<'_>) {
        self.had = true;
        // A task that wakes itself is queued behind all that are ready.
        cx.waker().wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker;

    use super::*;

    #[test]
    fn a_flush_waits_once_for_those_who_may_ask() {
        let (waker, deferral) = (noop_waker(), &mut Deferral::default());
        let cx = &Context::from_waker(&waker);
        assert!(!deferral.defers(cx, || false), "nothing is queued, or a call is alone");
        assert!(deferral.defers(cx, || true));
        assert!(!deferral.defers(cx, || true), "nothing waits twice");
        assert!(deferral.defers(cx, || true));
    }

    #[test]
    fn after_two_answers_the_others_have_had_their_turn() {
        let (waker, deferral) = (noop_waker(), &mut Deferral::default());
        let cx = &Context::from_waker(&waker);
        deferral.count_answer();
        deferral.after_batch(cx);
        assert!(deferral.defers(cx, || true), "one answer wakes one task: it is not waited for");
        assert!(!deferral.defers(cx, || true));
        deferral.count_answer();
        deferral.count_answer();
        deferral.after_batch(cx);
        assert!(!deferral.defers(cx, || true));
        deferral.after_batch(cx);
        assert!(deferral.defers(cx, || true), "the answers of another batch do not count");
    }
}
