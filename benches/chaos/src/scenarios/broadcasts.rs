//! Publishing to many.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::accounts::Seen;
use crate::check::Check;
use crate::honest::{age, percentile};
use crate::peer::RawPeer;
use crate::server::{News, Setup};
use crate::stage::{Stage, patiently, until};
use crate::wire::{Code, Line};

/// R24: what goes to everybody is there once.
pub(crate) async fn r24_fan_out_memory(stage: &mut Stage) -> Result<()> {
    const PEERS: usize = 500;
    let rounds = stage.pick(4, 1);
    let (mut server, base) = stage.serve(Setup::default()).await?;
    let mut peers = join_many(server.addr(), PEERS).await?;
    let probe = server.probe();
    probe.forget_peak()?;
    let before = probe.resident()?;
    let mut lost = Vec::new();
    for round in 0..rounds {
        server.publish(News { messages: 1, size: 1 << 20, per_second: 1_000 }).await?;
        let heard = join_all(peers.iter_mut().map(|peer| async move {
            let message = timeout(Duration::from_secs(30), peer.next()).await;
            let whole = matches!(&message, Ok(Ok(Some(it))) if it.body().len() == 1 << 20);
            (!whole).then(|| format!("#{} in round {round}", peer.id()))
        }));
        lost.extend(heard.await.into_iter().flatten());
    }
    let grown = probe.peak()? - before;
    stage.check(Check::none("copies that did not come", PEERS * rounds, &lost));
    stage.check(Check::at_most("memory grown at most", grown, 16.0, "MiB"));
    let seen = join_all(peers.into_iter().map(RawPeer::leave)).await;
    // Each round begins its numbers anew.
    let seen = seen.into_iter().map(|seen| Seen { order: Default::default(), ..seen }).collect();
    stage.close(&mut server, &base, seen).await?;
    Ok(())
}

/// R23: a peer that does not read what is published delays nobody, and costs bounded memory.
pub(crate) async fn r23_stalled_reader(stage: &mut Stage) -> Result<()> {
    let full = News { messages: 10_000, size: 4 << 10, per_second: 700 };
    let short = News { messages: 2_400, size: 16 << 10, per_second: 400 };
    let (readers, news) = stage.pick((99, full), (19, short));
    let alike = published(stage, readers, news, false).await?;
    let stalled = published(stage, readers, news, true).await?;
    let most = (2.0 * alike.p99).max(10.0);
    stage.check(Check::at_most("p99 beside it", stalled.p99, most, "ms").timed());
    stage.check(Check::at_most("memory grown at most", stalled.grown, 32.0, "MiB"));
    Ok(())
}

/// What readers met with while it was published to them.
struct Published {
    /// Of the time that messages took, in milliseconds.
    p99: f64,
    /// Memory of the server at most, beyond what it was before, in MiB.
    grown: f64,
}

async fn published(
    stage: &mut Stage,
    readers: usize,
    news: News,
    stalls: bool,
) -> Result<Published> {
    // A peer that does not read is given up when 16 MiB wait for it or it has taken nothing for
    // 10 s. Until then it may also hold what the system took on.
    const CUT: f64 = 11.0;
    // So many frames that it is the bytes that count.
    let outbox = (16_384, 16 << 20);
    let (mut server, base) = stage.serve(Setup { outbox, ..Setup::default() }).await?;
    let mut peers = join_many(server.addr(), readers + 1).await?;
    let last = peers.pop().context("somebody joined")?;
    let probe = server.probe();
    probe.forget_peak()?;
    let before = probe.resident()?;
    let mut reading = JoinSet::new();
    for peer in peers {
        reading.spawn(read(peer, news.messages));
    }
    let kept = if stalls {
        Some(last)
    } else {
        reading.spawn(read(last, news.messages));
        None
    };
    server.publish(news).await?;
    let start = Instant::now();
    let mut cut_after = f64::NAN;
    if stalls {
        // It goes as the only one that does.
        let within = Duration::from_secs(40);
        let report = until(&mut server, within, |report| report.peers == readers).await?;
        if report.peers == readers {
            cut_after = start.elapsed().as_secs_f64();
        }
    }
    let (mut seen, mut took, mut short) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(ended) = patiently("the readers", reading.join_next()).await? {
        let (peer, came, times) = ended?;
        if came != news.messages {
            short.push(format!("#{} got {came} of {}", peer.id(), news.messages));
        }
        took.extend(times);
        seen.push(peer.leave().await);
    }
    let grown = probe.peak()? - before;
    let who = if stalls { "readers beside it" } else { "readers without it" };
    stage.check(Check::none(&format!("{who} that missed something"), readers, &short));
    if let Some(mut stalled) = kept {
        stage.check(Check::at_most("until it is cut off", cut_after, CUT, "s"));
        // What the system took on is still there.
        let _ = timeout(Duration::from_secs(10), stalled.listen()).await;
        let id = stalled.id();
        // What was decoded is all the whole frames that were written, unless a reset came first.
        seen.push(stalled.seen());
        let accounts = stage.close(&mut server, &base, seen).await?;
        let reason = accounts.entry(id).map_or("none", |entry| &*entry.reason);
        let is_slow = ["the peer's outbox overflowed", "the peer took no bytes for too long"];
        let wrong: Vec<_> =
            (!is_slow.contains(&reason)).then(|| reason.to_owned()).into_iter().collect();
        stage.check(Check::none("reasons that are not slowness", 1, &wrong));
    } else {
        stage.close(&mut server, &base, seen).await?;
    }
    Ok(Published { p99: percentile(took, 0.99), grown })
}

/// Reads so many messages; gives the peer, how many came, and how long some of them took.
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

/// R40: a shutdown while everybody is published to loses nothing in silence.
pub(crate) async fn r40_shutdown_in_broadcast(stage: &mut Stage) -> Result<()> {
    const PEERS: usize = 100;
    const NEWS: News = News { messages: 1_000, size: 1_024, per_second: 1_000 };
    let drain = Duration::from_secs(3);
    let (mut server, base) = stage.serve(Setup { drain, ..Setup::default() }).await?;
    let mut rng = stage.rng(0);
    let mut reading = JoinSet::new();
    for peer in join_many(server.addr(), PEERS).await? {
        // Some read in gulps, so that their outboxes are not empty.
        let pause = if rng.u8(0..4) == 0 { rng.u64(1..8) } else { 0 };
        reading.spawn(read_to_the_end(peer, Duration::from_millis(pause)));
    }
    server.publish(NEWS).await?;
    let half = NEWS.messages / 2 + rng.u64(0..50);
    let published =
        until(&mut server, Duration::from_secs(20), |report| report.published >= half).await?;
    let start = Instant::now();
    let shutdown = server.shutdown().await?;
    let took = start.elapsed().as_secs_f64();
    let mut seen = Vec::new();
    while let Some(ended) = patiently("the readers", reading.join_next()).await? {
        seen.push(ended?);
    }
    let to_the_end = seen.iter().filter(|seen| seen.heard_all).count();
    let early = published.published.min(NEWS.messages - 1);
    stage.check(Check::within("published before it", early as f64, [1.0, 999.0], ""));
    stage.check(Check::equal("streams without a torn frame", to_the_end, PEERS));
    stage.check(Check::equal("connections that it ended", shutdown.connections, PEERS as u64));
    let most = drain.as_secs_f64() + 0.5;
    stage.check(Check::at_most("the shutdown", took.max(shutdown.took), most, "s").timed());
    stage.check(Check::equal("it is complete", shutdown.complete, true));
    stage.check(Check::equal("tasks behind it", shutdown.tasks, 0));
    let accounts = stage.close(&mut server, &base, seen).await?;
    let sent = accounts.totals().sent;
    stage.check(Check::equal("frames that it says it dropped", shutdown.dropped, sent.dropped));
    let written = sent.written as f64;
    stage.check(Check::at_most(
        "frames that it says it flushed",
        shutdown.flushed as f64,
        written,
        "",
    ));
    Ok(())
}

async fn read_to_the_end(mut peer: RawPeer, pause: Duration) -> Seen {
    while let Ok(Some(_)) = peer.next().await {
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    peer.leave().await
}

/// So many peers, of which all are listed.
pub(crate) async fn join_many(addr: SocketAddr, peers: usize) -> Result<Vec<RawPeer>> {
    use futures::{StreamExt, TryStreamExt, stream};

    let join = |_| async move {
        let mut peer = RawPeer::join(addr).await?;
        // A handler runs only for a peer that is listed already.
        peer.ask(Code::Echo, Default::default()).await?;
        Ok::<_, std::io::Error>(peer)
    };
    let all = stream::iter(0..peers).map(join).buffer_unordered(32).try_collect();
    Ok(patiently("the peers join", all).await??)
}
