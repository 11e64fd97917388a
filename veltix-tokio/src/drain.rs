//! The shutdown of a server: one deadline, and a report that adds up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::close::ShutdownReport;
use crate::sync::Mutex;

/// Whether a shutdown is under way, and what it has done so far.
#[derive(Debug)]
pub(crate) struct Drain {
    /// Read by every connection at every poll.
    draining: AtomicBool,
    state: Mutex<State>,
    /// `true` once the shutdown has begun; the accept loop waits for it.
    begun: watch::Sender<bool>,
    /// The final report.
    done: watch::Sender<Option<ShutdownReport>>,
}

#[derive(Debug, Default)]
struct State {
    begun_at: Option<Instant>,
    deadline: Option<Instant>,
    report: ShutdownReport,
}

impl Drain {
    pub(crate) fn new() -> Self {
        Self {
            draining: AtomicBool::new(false),
            state: Mutex::default(),
            begun: watch::Sender::new(false),
            done: watch::Sender::new(None),
        }
    }

    /// Begins the shutdown; `false` when it has begun before.
    pub(crate) fn begin(&self, timeout: Duration) -> bool {
        {
            let mut state = self.state.lock();
            if state.begun_at.is_some() {
                return false;
            }
            let now = Instant::now();
            state.begun_at = Some(now);
            state.deadline = Some(now + timeout);
        }
        self.draining.store(true, Ordering::Release);
        self.begun.send_replace(true);
        true
    }

    /// Waits until the shutdown has begun.
    pub(crate) async fn begun(&self) {
        // The sender is our own, so the wait ends only with the value.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !self.is_draining() {
            return None;
        }
        self.state.lock().deadline
    }

    /// Books what the shutdown did to one connection.
    pub(crate) fn book(&self, flushed: u64, dropped: u64, aborted_handlers: u64) {
        let report = &mut self.state.lock().report;
        report.connections += 1;
        report.flushed += flushed;
        report.dropped += dropped;
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
