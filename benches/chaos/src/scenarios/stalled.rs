//! A peer that does not read.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::broadcasts::join_many;
use crate::accounts::{Accounts, Seen};
use crate::check::Check;
use crate::honest::{age, percentile};
use crate::peer::RawPeer;
use crate::server::{News, ServerProcess, Setup};
use crate::stage::{Stage, patiently, until};
use crate::wire::Line;

/// The time limit for a disconnect. A peer that does not read is disconnected when 16 MiB wait for
/// it, or when it has accepted nothing for 10 s. Before that, the system accepts some data for it.
const CUT: f64 = 11.0;

/// R23: a peer that does not read broadcasts delays no other peer and needs bounded memory.
pub(crate) async fn r23_stalled_reader(stage: &mut Stage) -> Result<()> {
    let full = News { messages: 10_000, size: 4 << 10, per_second: 700 };
    let short = News { messages: 2_400, size: 16 << 10, per_second: 400 };
    let (readers, news) = stage.pick((99, full), (19, short));
    let without = without_it(stage, readers, news).await?;
    let beside = beside_it(stage, readers, news).await?;
    let most = (2.0 * without).max(10.0);
    stage.check(Check::at_most("p99 of the readers beside it", beside, most, "ms").timed());
    Ok(())
}

/// Returns a configuration with room for enough frames that the limit in bytes applies.
fn setup() -> Setup {
    Setup { outbox: (16_384, 16 << 20), ..Setup::default() }
}

/// Measures without a stalled peer: returns the 99th percentile of the messages' times in
/// milliseconds.
async fn without_it(stage: &mut Stage, readers: usize, news: News) -> Result<f64> {
    let (mut server, base) = stage.serve(setup()).await?;
    let readers = Readers::join(server.addr(), readers + 1, news.messages).await?;
    server.publish(news).await?;
    let results = readers.leave().await?;
    stage.check(Check::none("readers without a full stream, before", results.of, &results.short));
    stage.close(&mut server, &base, results.seen).await?;
    Ok(percentile(results.took, 0.99))
}

/// Measures with one peer that does not read.
async fn beside_it(stage: &mut Stage, readers: usize, news: News) -> Result<f64> {
    let (mut server, base) = stage.serve(setup()).await?;
    let mut stalled = join_many(server.addr(), 1).await?.pop().context("it joined")?;
    let others = Readers::join(server.addr(), readers, news.messages).await?;
    let probe = server.probe();
    probe.forget_peak()?;
    let before = probe.resident()?;
    server.publish(news).await?;
    let cut_after = cut_off(&mut server, readers).await?;
    let mut results = others.leave().await?;
    let grown = probe.peak()? - before;
    // The data that the system has accepted is still there.
    let _ = timeout(Duration::from_secs(10), stalled.listen()).await;
    results.seen.push(stalled.seen());
    stage.check(Check::none(
        "readers without a full stream, beside it",
        results.of,
        &results.short,
    ));
    stage.check(Check::at_most("time until it is disconnected", cut_after, CUT, "s"));
    stage.check(Check::at_most("highest growth of memory", grown, 32.0, "MiB"));
    let accounts = stage.close(&mut server, &base, results.seen).await?;
    let wrong = other_reason(&accounts, stalled.id());
    stage.check(Check::none("disconnects for another reason than slowness", 1, wrong.as_slice()));
    Ok(percentile(results.took, 0.99))
}

/// Waits until only this number of peers is left. Returns the seconds that it took.
async fn cut_off(server: &mut ServerProcess, readers: usize) -> Result<f64> {
    let start = Instant::now();
    let report = until(server, Duration::from_secs(40), |it| it.peers == readers).await?;
    Ok(if report.peers == readers { start.elapsed().as_secs_f64() } else { f64::NAN })
}

/// Returns the reason of a disconnect, unless the peer was too slow.
fn other_reason(accounts: &Accounts, id: u64) -> Option<String> {
    let reason = accounts.entry(id).map_or("none", |entry| &*entry.reason);
    let is_slow = ["the peer's outbox overflowed", "the peer accepted no bytes for too long"];
    (!is_slow.contains(&reason)).then(|| reason.to_owned())
}

/// Peers that read broadcasts.
struct Readers {
    reading: JoinSet<(RawPeer, u64, Vec<Duration>)>,
    messages: u64,
}

/// The results of the readers.
struct Results {
    /// The number of readers.
    of: usize,
    seen: Vec<Seen>,
    /// The readers that did not receive everything.
    short: Vec<String>,
    /// The times of some of the messages.
    took: Vec<Duration>,
}

impl Readers {
    async fn join(addr: SocketAddr, readers: usize, messages: u64) -> Result<Self> {
        let mut reading = JoinSet::new();
        for peer in join_many(addr, readers).await? {
            reading.spawn(read(peer, messages));
        }
        Ok(Self { reading, messages })
    }

    /// Disconnects each reader when it has read everything.
    async fn leave(mut self) -> Result<Results> {
        let of = self.reading.len();
        let (mut seen, mut took, mut short) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(ended) = patiently("the readers", self.reading.join_next()).await? {
            let (peer, came, times) = ended?;
            if came != self.messages {
                short.push(format!("#{} got {came} of {}", peer.id(), self.messages));
            }
            took.extend(times);
            seen.push(peer.leave().await);
        }
        Ok(Results { of, seen, short, took })
    }
}

/// Reads this number of messages. Returns the peer, the number of messages, and the times of some
/// of them.
async fn read(mut peer: RawPeer, messages: u64) -> (RawPeer, u64, Vec<Duration>) {
    let (mut came, mut took) = (0, Vec::new());
    while came < messages {
        let Ok(Some(message)) = peer.next().await else { break };
        came += 1;
        if came % 16 == 0
            && let Some(line) = Line::read(message.body())
        {
            took.push(age(line));
        }
    }
    (peer, came, took)
}
