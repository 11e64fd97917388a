//! The shutdown of a server, with one deadline and a report whose sums match.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::close::ShutdownReport;
use crate::outbox::Sent;
use crate::sync::Mutex;

/// The state of a shutdown, and its report so far.
#[derive(Debug)]
pub(crate) struct Drain {
    spreads: Spreads,
    /// True when every connection must end, before its turn too. Every connection reads it at every
    /// poll.
    closing: AtomicBool,
    /// True when the shutdown has begun. Every connection reads it at its end.
    has_begun: AtomicBool,
    state: Mutex<State>,
    /// True when the server has ended. Every broadcast reads it.
    has_ended: AtomicBool,
    /// Becomes `true` when the shutdown begins, or the server ends without one. The accept loop
    /// and handlers wait for it.
    begun: watch::Sender<bool>,
    /// The final report.
    done: watch::Sender<Option<ShutdownReport>>,
}

/// The periods that keep clients from reconnecting all at once after a shutdown. They are zero for
/// a client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spreads {
    /// The period over which connections are closed, one after the other.
    pub(crate) closes: Duration,
    /// The period over which clients of this crate are asked to reconnect.
    pub(crate) reconnects: Duration,
}

/// The effect of the shutdown on one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// The counters of sent frames at the connection's turn. `after` holds them at its end.
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
            has_ended: AtomicBool::new(false),
            state: Mutex::default(),
            begun: watch::Sender::new(false),
            done: watch::Sender::new(None),
        }
    }

    pub(crate) const fn spreads(&self) -> Spreads {
        self.spreads
    }

    /// Begins the shutdown: at once for all connections, unless their closes are spread. Returns
    /// `false` if it has begun before. The last connection to be closed has the whole `timeout`,
    /// too.
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

    /// Requires every remaining connection to end now. The caller must wake their tasks.
    pub(crate) fn close_all(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Waits until the shutdown begins, or the server ends without one.
    pub(crate) async fn begun(&self) {
        // `self` owns the sender, so the wait ends only with the value.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// Returns whether the server has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Returns whether every connection must end.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !self.has_begun() {
            return None;
        }
        self.state.lock().deadline
    }

    /// Counts tasks of the application that the deadline has ended.
    pub(crate) fn abort_tasks(&self, tasks: u64) {
        self.state.lock().report.aborted_tasks += tasks;
    }

    /// Records the effect of the shutdown on one connection.
    pub(crate) fn record(&self, closed: Closed) {
        let Closed { before, after, aborted_handlers } = closed;
        // Frames that a write of another thread still holds at the end of an aborted task count as
        // dropped, here as in the connection's own counters.
        let lost = |sent: Sent| sent.dropped() + sent.queued;
        let report = &mut self.state.lock().report;
        report.connections += 1;
        report.queued += before.queued;
        report.accepted += after.accepted - before.accepted;
        report.flushed += after.written - before.written;
        report.dropped += lost(after) - before.dropped();
        report.aborted_handlers += aborted_handlers;
    }

    /// Records the effect of the shutdown on the cluster.
    #[cfg(feature = "cluster")]
    pub(crate) fn record_cluster(&self, cluster: crate::close::ClusterShutdown) {
        self.state.lock().report.cluster = cluster;
    }

    /// Returns the report so far.
    pub(crate) fn report(&self) -> ShutdownReport {
        let state = self.state.lock();
        let took = state.begun_at.map(|begun| begun.elapsed()).unwrap_or_default();
        ShutdownReport { took, ..state.report }
    }

    /// Ends the shutdown: every connection has ended or was aborted, and handlers still block this
    /// number of threads. The first call makes the final report, and every call returns it.
    pub(crate) fn finish(&self, complete: bool, blocked_threads: u64) -> ShutdownReport {
        let complete = complete && blocked_threads == 0;
        self.has_ended.store(true, Ordering::Release);
        self.begun.send_replace(true);
        let report = ShutdownReport { complete, blocked_threads, ..self.report() };
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
        let first = drain.finish(true, 0);
        assert_eq!(drain.finish(false, 0), first, "the first report is the report");
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
