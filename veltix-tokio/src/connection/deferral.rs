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
