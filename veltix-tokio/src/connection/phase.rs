//! [`Phase`]: how far a connection has come.

use std::fmt;

use tokio::time::Instant;

use crate::close::CloseReason;
use crate::outbox::Sent;

/// Called when the peer is admitted.
type OnAdmit = Box<dyn FnOnce() + Send>;

/// How far a connection has come, from `on_connect` to the events of its end.
pub(super) struct Phase {
    stage: Stage,
    /// The wait for `on_connect`. Boxed: most connections are admitted.
    entering: Option<Box<Entering>>,
    /// The end that has begun. Boxed: most connections are open.
    ending: Option<Box<Ending>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// `on_connect` runs.
    Entering,
    /// The peer is listed.
    Admitted,
    /// The peer is not listed any more, and the events of its end are emitted.
    Left,
}

struct Entering {
    /// The deadline of `on_connect`.
    deadline: Instant,
    on_admit: Option<OnAdmit>,
}

/// An end that has begun.
pub(super) struct Ending {
    pub(super) reason: CloseReason,
    /// The time at which handlers are cut off.
    pub(super) deadline: Instant,
    /// The counts of sent frames when the end began, for the report of a shutdown.
    pub(super) sent_before: Sent,
    pub(super) aborted_handlers: u64,
}

impl Phase {
    /// Begins with `on_connect`, which has this deadline.
    pub(super) fn new(deadline: Instant) -> Self {
        let entering = Some(Box::new(Entering { deadline, on_admit: None }));
        Self { stage: Stage::Entering, entering, ending: None }
    }

    /// Sets the callback of the admission.
    pub(super) fn on_admit(&mut self, on_admit: OnAdmit) {
        if let Some(entering) = &mut self.entering {
            entering.on_admit = Some(on_admit);
        }
    }

    /// Notes that the peer is admitted; returns the callback.
    pub(super) fn admit(&mut self) -> Option<OnAdmit> {
        self.stage = Stage::Admitted;
        self.entering.take()?.on_admit
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.stage == Stage::Admitted
    }

    pub(super) fn has_left(&self) -> bool {
        self.stage == Stage::Left
    }

    /// Begins the end.
    pub(super) fn begin_end(&mut self, ending: Ending) {
        self.ending = Some(Box::new(ending));
    }

    /// Returns whether an end has begun.
    #[inline]
    pub(super) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Returns the end that has begun.
    pub(super) fn ending(&self) -> Option<&Ending> {
        self.ending.as_deref()
    }

    /// Returns whether the end that has begun is that of a shutdown.
    pub(super) fn is_shutting_down(&self) -> bool {
        self.ending().is_some_and(|ending| ending.reason == CloseReason::Shutdown)
    }

    /// Counts handlers that were cut off, at this time: nothing waits for them any more.
    pub(super) fn cut_off(&mut self, handlers: u64, now: Instant) {
        if let Some(ending) = &mut self.ending {
            ending.aborted_handlers += handlers;
            ending.deadline = ending.deadline.min(now);
        }
    }

    /// Takes the end; without one it is that of an aborted task.
    pub(super) fn take_ending(&mut self) -> Ending {
        self.ending.take().map_or_else(Ending::aborted, |ending| *ending)
    }

    /// Notes that the events of the end are emitted.
    pub(super) const fn leave(&mut self) {
        self.stage = Stage::Left;
    }

    /// Begins the end of an aborted task, unless another end has begun, and counts its handlers.
    pub(super) fn abort(&mut self, handlers: u64) {
        let ending = self.ending.get_or_insert_with(|| Box::new(Ending::aborted()));
        ending.aborted_handlers += handlers;
    }

    /// Returns the next deadline of the phase: of `on_connect`, or of the handlers after an end has begun.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match (&self.ending, &self.entering) {
            (Some(ending), _) => Some(ending.deadline),
            (None, Some(entering)) => Some(entering.deadline),
            (None, None) => None,
        }
    }
}

impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Phase").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Ending {
    /// The end of a task that was aborted before it ended by itself.
    fn aborted() -> Self {
        Self {
            reason: CloseReason::Aborted,
            deadline: Instant::now(),
            sent_before: Sent::default(),
            aborted_handlers: 0,
        }
    }
}
