//! [`Loads`]: messages at a steady rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, sleep};
use veltix::{Delivery, Hub, Message, SendError, tag};
use veltix_cluster_faults::{Load, LoadReport, SAY, Said, Sent, median_p99, now, percentile};

/// The time between two turns of a load.
const TURN: Duration = Duration::from_millis(2);

/// The messages of this node.
#[derive(Clone)]
pub(crate) struct Loads(Arc<State>);

struct State {
    hub: Hub,
    origin: u16,
    next: AtomicU64,
    is_ended: AtomicBool,
    running: AtomicUsize,
}

impl Loads {
    pub(crate) fn new(hub: Hub, origin: u16) -> Self {
        let (next, is_ended) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(State { hub, origin, next, is_ended, running: AtomicUsize::new(0) }))
    }

    /// Ends the loads that run.
    pub(crate) fn end(&self) {
        self.0.is_ended.store(true, Ordering::Relaxed);
    }

    /// Sends one message, to a room or to all peers.
    ///
    /// # Errors
    /// The server has ended.
    pub(crate) fn send(&self, room: Option<&str>, length: usize) -> Result<Delivery, SendError> {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.send_numbered(room, number, length)
    }

    /// Sends one message with this number.
    ///
    /// # Errors
    /// The server has ended.
    pub(crate) fn send_numbered(
        &self,
        room: Option<&str>,
        number: u64,
        length: usize,
    ) -> Result<Delivery, SendError> {
        let (origin, to_room) = (self.0.origin, room.is_some());
        let body = Said { origin, to_room, number, sent: now(), length }.encode();
        let message = Message::new(SAY, body);
        match room {
            Some(room) => self.0.hub.to(tag("room").is(room)).send(&message),
            None => self.0.hub.broadcast(&message),
        }
    }

    /// Waits until no load runs.
    pub(crate) async fn idle(&self) {
        self.end();
        while self.0.running.load(Ordering::Relaxed) > 0 {
            sleep(TURN).await;
        }
    }

    /// Sends messages until their end, or the end of the server. The report is passed on before the load counts as
    /// ended.
    pub(crate) async fn run(&self, load: Load, report: impl FnOnce(LoadReport)) {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        report(self.send_all(load).await);
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }

    async fn send_all(&self, load: Load) -> LoadReport {
        self.0.is_ended.store(false, Ordering::Relaxed);
        let mut report = LoadReport::default();
        report.numbers.0 = self.0.next.load(Ordering::Relaxed);
        let mut calls = Vec::new();
        let mut turns = interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = Instant::now();
        let mut done = 0;
        'all: while done < load.count && !self.0.is_ended.load(Ordering::Relaxed) {
            turns.tick().await;
            let due = begun.elapsed().as_micros() as u64 * load.rate / 1_000_000;
            // After a pause of the process, the load goes on at its rate: it makes up for a tenth of a second.
            let most = load.rate / 10 + 1;
            for _ in 0..due.min(load.count).saturating_sub(done).min(most) {
                let room = load.room.as_deref().filter(|_| done % 2 == 1);
                let before = Instant::now();
                let Ok(delivery) = self.send(room, load.length) else { break 'all };
                calls.push((now(), before.elapsed().as_micros() as u64));
                add(&mut report.sent, delivery);
                report.broadcasts += u64::from(room.is_none());
                done += 1;
            }
        }
        report.numbers.1 = self.0.next.load(Ordering::Relaxed);
        report.call_p99 = median_p99(calls.iter().copied());
        report.call_p99_in_all = percentile(calls.iter().map(|(_, took)| *took), 0.99);
        report
    }
}

/// Adds the counts of one message.
pub(crate) const fn add(sent: &mut Sent, delivery: Delivery) {
    sent.offered += 1;
    sent.local_matched += delivery.matched as u64;
    sent.local_queued += delivery.queued as u64;
    sent.nodes_matched += delivery.nodes.matched as u64;
    sent.nodes_dropped += delivery.nodes.dropped as u64;
    sent.refused += (delivery.nodes.dropped > 0) as u64;
}
