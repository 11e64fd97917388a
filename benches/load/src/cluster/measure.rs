//! The rounds: each contestant in turn, in alternating order.

use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use veltix_stage::progress_bar;

use super::contestant::{Contestant, Stage};
use super::figures::{LOCAL, ROOMS, any};
use super::sheet::{Load, Quantity, Sheet};
use crate::generator::{Nodes, Passed, Rooms};
use crate::node_packages;
use crate::turns::order;
use crate::wire::Kind;

/// The rooms of the figure of the interest, and the messages of each publisher to each of them.
const COUNT: usize = 100;
const TIMES: usize = 5;

/// The time in which the nodes tell each other what their clients have joined.
const TOLD: Duration = Duration::from_secs(1);

/// The failed rounds after which a contestant is not tried again, since each may cost its time-outs.
const FAILURES: usize = 2;

/// A run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    pub(super) lasts: Duration,
    /// The clients of each node.
    pub(super) clients: usize,
    /// Whether only three nodes are measured, beside one.
    pub(super) short: bool,
}

/// A contestant on a number of nodes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    contestant: Contestant,
    nodes: usize,
    failures: usize,
}

impl Plan {
    /// Measures all rounds. A contestant that cannot be measured here is named.
    pub(super) fn run(&self) -> Sheet {
        let mut sheet = Sheet::new(self.rounds);
        let mut entries = self.entries(&mut sheet);
        let bar = progress_bar(self.rounds * entries.len());
        for round in 0..self.rounds {
            for number in order(round, entries.len()) {
                let entry = &mut entries[number];
                bar.set_message(format!("{} on {} nodes", entry.contestant.name(), entry.nodes));
                self.add_round(round, entry, &mut sheet, &bar);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        sheet
    }

    /// Returns the entries in their order. Those that are compared with the cluster stand next to it.
    fn entries(&self, sheet: &mut Sheet) -> Vec<Entry> {
        use Contestant::{Alone, Cluster, Relay, SocketIo};
        let mut all = vec![(Alone, 1), (Cluster, LOCAL), (Relay, LOCAL), (SocketIo, LOCAL)];
        all.extend([(SocketIo, 3), (Relay, 3), (Cluster, 3)]);
        if self.short {
            all.retain(|(_, nodes)| *nodes != LOCAL);
        }
        if let Err(error) = node_packages::is_installed() {
            all.retain(|(contestant, _)| *contestant != SocketIo);
            sheet.miss(SocketIo, format!("skipped: {error:#}"));
        }
        let entry = |(contestant, nodes)| Entry { contestant, nodes, failures: 0 };
        all.into_iter().map(entry).collect()
    }

    fn add_round(&self, round: usize, entry: &mut Entry, sheet: &mut Sheet, bar: &ProgressBar) {
        if entry.failures >= FAILURES {
            return;
        }
        let Entry { contestant, nodes, .. } = *entry;
        if let Err(error) = self.measure(round, contestant, nodes, sheet) {
            entry.failures += 1;
            let why =
                format!("{} on {nodes} nodes, round {}: {error:#}", contestant.name(), round + 1);
            bar.println(&why);
            sheet.fail(contestant, why);
        }
    }

    fn measure(
        &self,
        round: usize,
        contestant: Contestant,
        nodes: usize,
        sheet: &mut Sheet,
    ) -> Result<()> {
        let stage = contestant.start(nodes)?;
        let targets = stage.targets();
        let mut clients = Nodes::gather(&targets, self.clients, stage.settled)?;
        let has_local = match contestant {
            Contestant::Alone => true,
            Contestant::Cluster => self.short || nodes == LOCAL,
            _ => false,
        };
        let mut set = |quantity, load, value| sheet.set(round, contestant, quantity, load, value);
        for load in Load::of(nodes) {
            let Load { body, in_flight, .. } = load;
            if has_local {
                let Passed { here, .. } =
                    clients.measure(Kind::PublishTag, body, in_flight, self.lasts)?;
                set(Quantity::LocalRate, load, here.rate);
                set(Quantity::LocalP99, load, here.latency(0.99));
            }
            if nodes > 1 {
                let Passed { here, elsewhere } =
                    clients.measure(Kind::Publish, body, in_flight, self.lasts)?;
                set(Quantity::CrossRate, load, elsewhere.rate);
                set(Quantity::CrossP50, load, elsewhere.latency(0.5));
                set(Quantity::CrossP99, load, elsewhere.latency(0.99));
                set(Quantity::OriginP50, load, here.latency(0.5));
            }
        }
        drop(clients);
        if contestant == Contestant::Cluster {
            let broker = stage.broker.as_ref().context("a cluster has a broker")?;
            set(Quantity::RoundTrip, any(nodes), broker.round_trip()?);
            if nodes == ROOMS {
                set(Quantity::Interest, any(nodes), interest(&stage)?);
            }
        }
        Ok(())
    }
}

/// Returns the largest ratio of a node: the bytes into it while all nodes publish to all rooms, to the
/// bytes into it while the other nodes publish the same messages to its rooms alone.
///
/// The messages are sent one at a time, so that both have batches of one message.
fn interest(stage: &Stage) -> Result<f64> {
    let targets = stage.targets();
    let mut rooms = Rooms::gather(&targets, COUNT)?;
    std::thread::sleep(TOLD);
    let mut bytes = |only: Option<usize>| -> Result<Vec<f64>> {
        let before = stage.bytes_into_nodes()?;
        rooms.publish(only, TIMES)?;
        let after = stage.bytes_into_nodes()?;
        Ok(before.iter().zip(&after).map(|(before, after)| after - before).collect())
    };
    let all = bytes(None)?;
    let mut largest = 0.0_f64;
    for (node, all) in all.into_iter().enumerate() {
        largest = largest.max(all / bytes(Some(node))?[node]);
    }
    Ok(largest)
}
