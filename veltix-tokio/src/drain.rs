//! The shutdown of a server: one deadline, and a report that adds up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::close::ShutdownReport;
use crate::outbox::Sent;
use crate::sync::Mutex;

/// Whether a shutdown is under way, and what it has done so far.
#[derive(Debug)]
pub(crate) struct Drain {
    spreads: Spreads,
    /// Every connection is to end, whether it was its turn or not. Read by each at every poll.
    closing: AtomicBool,
    /// Read at the end of every connection.
    has_begun: AtomicBool,
    state: Mutex<State>,
    /// `true` once the shutdown has begun; the accept loop waits for it.
    begun: watch::Sender<bool>,
    /// The final report.
    done: watch::Sender<Option<ShutdownReport>>,
}

/// How a shutdown keeps clients from coming back all at once. None for a client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spreads {
    /// Over which time connections are closed, one after the other.
    pub(crate) closes: Duration,
    /// Over which time clients that listen are asked to come back.
    pub(crate) reconnects: Duration,
}

/// What the shutdown did to one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// What had become of sent frames when its turn came, and at its end.
    pub(crate) before: Sent,
    pub(crate) after: Sent,
    pub(crate) aborted_handlers: u64,
}

#[derive(Debug, Default)]
struct State {
    begun_at: Option<Instant>,
    deadline: Option<Instant>,
    report: ShutdownReport,
}

impl Drain {
    pub(crate) fn new(spreads: Spreads) -> Self {
        Self {
            spreads,
            closing: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            state: Mutex::default(),
            begun: watch::Sender::new(false),
            done: watch::Sender::new(None),
        }
    }

    pub(crate) const fn spreads(&self) -> Spreads {
        self.spreads
    }

    /// Begins the shutdown, for all at once unless their closes are spread; `false` when it has
    /// begun before. The last to be closed has this timeout, too.
    pub(crate) fn begin(&self, timeout: Duration) -> bool {
        {
            let mut state = self.state.lock();
            if state.begun_at.is_some() {
                return false;
            }
            let now = Instant::now();
            state.begun_at = Some(now);
            state.deadline = Some(now + self.spreads.closes + timeout);
        }
        self.has_begun.store(true, Ordering::Release);
        if self.spreads.closes.is_zero() {
            self.close_all();
        }
        self.begun.send_replace(true);
        true
    }

    /// Whoever is still there is to end now. Their tasks are to be woken for it.
    pub(crate) fn close_all(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Waits until the shutdown has begun.
    pub(crate) async fn begun(&self) {
        // The sender is our own, so the wait ends only with the value.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// Whether every connection is to end.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !self.has_begun() {
            return None;
        }
        self.state.lock().deadline
    }

    /// Books what the shutdown did to one connection.
    pub(crate) fn record(&self, closed: Closed) {
        let Closed { before, after, aborted_handlers } = closed;
        // Whatever a write of another thread still holds at the end of an aborted task is counted
        // as dropped, here as there.
        let lost = |sent: Sent| sent.dropped() + sent.queued;
        let report = &mut self.state.lock().report;
        report.connections += 1;
        report.queued += before.queued;
        report.accepted += after.accepted - before.accepted;
        report.flushed += after.written - before.written;
        report.dropped += lost(after) - before.dropped();
        report.aborted_handlers += aborted_handlers;
    }

    /// The report so far.
    pub(crate) fn report(&self) -> ShutdownReport {
        let state = self.state.lock();
        let took = state.begun_at.map(|begun| begun.elapsed()).unwrap_or_default();
        ShutdownReport { took, ..state.report }
    }

    /// Nothing more will happen: every connection has ended, or was aborted. The first to say so
    /// makes the final report.
    pub(crate) fn finish(&self, complete: bool) -> ShutdownReport {
        let report = ShutdownReport { complete, ..self.report() };
        self.done.send_if_modified(|done| done.is_none() && done.replace(report).is_none());
        self.done.borrow().unwrap_or(report)
    }

    /// Waits until every connection has ended.
    pub(crate) async fn finished(&self) -> ShutdownReport {
        let mut done = self.done.subscribe();
        match done.wait_for(Option::is_some).await {
            Ok(report) => report.unwrap_or_default(),
            Err(_) => self.report(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_once_and_ends_once() {
        let drain = Drain::new(Spreads::default());
        assert!(drain.deadline().is_none() && !drain.is_closing());
        assert!(drain.begin(Duration::from_secs(1)));
        let deadline = drain.deadline();
        assert!(drain.is_closing());
        assert!(!drain.begin(Duration::from_secs(9)));
        assert_eq!(drain.deadline(), deadline);
        let first = drain.finish(true);
        assert_eq!(drain.finish(false), first, "the first report is the report");
    }

    /// A write of another thread may still hold a frame of a task that was aborted.
    #[test]
    fn what_is_still_held_is_lost() {
        let drain = Drain::new(Spreads::default());
        let before =
            Sent { accepted: 6, written: 2, queued: 3, dropped_policy: 1, ..Sent::default() };
        let after = Sent { accepted: 8, written: 4, queued: 1, dropped_shutdown: 2, ..before };
        drain.record(Closed { before, after, aborted_handlers: 1 });
        drain.record(Closed {
            before: Sent::default(),
            after: Sent::default(),
            aborted_handlers: 2,
        });
        let report = drain.report();
        assert_eq!((report.connections, report.aborted_handlers), (2, 3));
        assert_eq!((report.queued, report.accepted), (3, 2));
        assert_eq!((report.flushed, report.dropped), (2, 3));
    }
}
