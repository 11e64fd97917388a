//! The board: a summary of the events and counters of a [`Hub`].

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use veltix::{Event, Hub, PeerId, Registry, all};

/// Counts of everything since the board began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    pub(crate) peers: usize,
    pub(crate) connected: u64,
    pub(crate) disconnected: u64,
    /// Refused by `on_connect`, or ended during the handshake.
    pub(crate) turned_away: u64,
    pub(crate) rejected: u64,
    pub(crate) failed: u64,
    pub(crate) panicked: u64,
    pub(crate) unknown_codes: u64,
    pub(crate) timed_out: u64,
    pub(crate) slow_consumers: u64,
    /// Events that this board has missed. Its other counts of events are too low by this number.
    pub(crate) missed: u64,
    /// By type: dropped frames, and the part of them that a newer value has superseded.
    pub(crate) dropped: Vec<(String, u64, u64)>,
    /// Messages received and frames written, of all present and former peers.
    pub(crate) total: Flow,
    /// The same per second since the last update.
    pub(crate) rate: Flow,
    /// The value of `total` at the last update.
    total_at_look: Flow,
    /// The part of each peer in `total`.
    seen: HashMap<PeerId, Flow>,
}

/// Messages in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) received: u64,
    pub(crate) written: u64,
}

impl Flow {
    fn add_since(&mut self, now: Self, before: Self) {
        self.received += now.received - before.received;
        self.written += now.written - before.written;
    }
}

impl Board {
    /// Counts an event.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Connected { peer } => {
                self.connected += 1;
                self.seen.insert(peer.id(), Flow::default());
            }
            Event::Disconnected { peer, outcome } => {
                self.disconnected += 1;
                let Some(before) = self.seen.remove(&peer.id()) else { return };
                let (received, written) = (outcome.received.received, outcome.sent.written);
                self.total.add_since(Flow { received, written }, before);
            }
            Event::Refused { .. } | Event::HandshakeFailed { .. } => self.turned_away += 1,
            Event::Rejected { .. } => self.rejected += 1,
            Event::HandlerFailed { .. } => self.failed += 1,
            Event::HandlerPanicked { .. } => self.panicked += 1,
            Event::UnknownCode { .. } => self.unknown_codes += 1,
            Event::RequestTimedOut { .. } => self.timed_out += 1,
            Event::SlowConsumer { .. } => self.slow_consumers += 1,
            // `Hub::dropped` counts dropped frames of all peers, even without events.
            Event::Dropped { .. } => {}
            Event::Lagged(missed) => {
                self.missed += missed;
                // Some peers may have left unseen. The next update finds the present ones again.
                self.seen.clear();
            }
            _ => {}
        }
    }

    /// Reads the counters. `after` is the time since the last update.
    pub(crate) fn look(&mut self, hub: &Hub, types: &Registry, after: Duration) {
        // `all()` is never over a limit.
        let peers = hub.list(all()).unwrap_or_default();
        self.peers = peers.len();
        for peer in peers {
            let stats = peer.stats();
            let now = Flow { received: stats.received.received, written: stats.sent.written };
            // A peer without an entry has connected since the last update, or its event was missed: it begins here.
            let before = self.seen.insert(peer.id(), now).unwrap_or(now);
            self.total.add_since(now, before);
        }
        let per_second = |count: u64| (count as f64 / after.as_secs_f64()).round() as u64;
        self.rate = Flow {
            received: per_second(self.total.received - self.total_at_look.received),
            written: per_second(self.total.written - self.total_at_look.written),
        };
        self.total_at_look = self.total;
        self.dropped = hub
            .dropped()
            .iter()
            .map(|dropped| {
                let name = types.find(dropped.code).map_or("?", |message_type| message_type.name());
                (format!("{name}({})", dropped.code), dropped.total(), dropped.superseded)
            })
            .collect();
    }

    /// Returns the board as a table.
    pub(crate) fn table(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "peers     {:>9}    {} connected, {} disconnected, {} refused",
                self.peers, self.connected, self.disconnected, self.turned_away
            ),
            format!("in        {:>9}/s  {} messages", self.rate.received, self.total.received),
            format!("out       {:>9}/s  {} frames", self.rate.written, self.total.written),
            format!("handlers  {:>9}    failed, {} panicked", self.failed, self.panicked),
            format!(
                "bodies    {:>9}    rejected, {} with unknown codes",
                self.rejected, self.unknown_codes
            ),
            format!("requests  {:>9}    timed out", self.timed_out),
            format!("slow      {:>9}    times an outbox was full", self.slow_consumers),
        ];
        for (name, total, superseded) in &self.dropped {
            lines.push(format!("dropped   {total:>9}    {name}, {superseded} of them superseded"));
        }
        if self.missed > 0 {
            lines.push(format!(
                "missed    {:>9}    events: the counts of events are too low",
                self.missed
            ));
        }
        lines
    }
}

/// Formats the board as one line.
impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dropped: u64 = self.dropped.iter().map(|(_, total, _)| total).sum();
        write!(
            f,
            "peers {} in {}/s out {}/s dropped {dropped} slow {} failed {} panicked {} rejected {} timed out {}",
            self.peers,
            self.rate.received,
            self.rate.written,
            self.slow_consumers,
            self.failed,
            self.panicked,
            self.rejected,
            self.timed_out,
        )?;
        if self.missed > 0 { write!(f, " missed {}", self.missed) } else { Ok(()) }
    }
}
