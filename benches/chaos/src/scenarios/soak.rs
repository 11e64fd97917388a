//! All faults at once, for a long time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures::future::join_all;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::crowd::break_off;
use super::links::{Talked, config, talk};
use crate::accounts::{Accounts, Seen};
use crate::check::Check;
use crate::client::Notes;
use crate::honest::Honest;
use crate::peer::RawPeer;
use crate::proxy::{Fate, FaultProxy};
use crate::server::{News, ServerProcess, Setup};
use crate::stage::Stage;
use crate::wire::{Code, Line};

/// The time after which the server's memory has its full size.
const WARM: Duration = Duration::from_secs(60);

/// R48: nothing accumulates, however long it takes.
pub(crate) async fn r48_soak(stage: &mut Stage) -> Result<()> {
    let lasts = stage.soak();
    let setup = Setup {
        heartbeat: Some(Duration::from_secs(1)),
        write_stall: Duration::from_secs(2),
        // Handlers that hang after their peer has left are not awaited for longer.
        drain: Duration::from_secs(2),
        // The outbox is small, so that a peer that does not read fills it.
        max_message_size: 64 << 10,
        outbox: (1_024, 256 << 10),
        ..Setup::default()
    };
    let (mut server, base) = stage.serve(setup).await?;
    let addr = server.addr();
    let proxy = FaultProxy::start(addr, stage.seed(), Fate::draw).await?;
    let honest = Honest::join(addr).await?;
    server.publish(News { messages: u64::MAX, size: 2_048, per_second: 100 }).await?;
    let until = Instant::now() + lasts;
    let (notes, links) = (Notes::through_faults(), proxy.addr());
    let talking = (1..=6).map(|n| talk(config(links), n, stage.rng(n), until, &notes));
    let breaking = (100..106).map(|n| break_off(links, n, stage.rng(n), until));
    let direct = (200..203).map(|n| break_off(addr, n, stage.rng(n), until));
    let rude: [fn(RawPeer, fastrand::Rng) -> _; 4] = [panics, hangs, stalls, hangs_up];
    let rude = rude.into_iter().enumerate().map(|(number, how)| {
        let number = 300 + number as u64;
        again_and_again(addr, stage.rng(number), until, how)
    });
    let mut memory = Memory::default();
    let mut accounts = Accounts::default();
    let (talks, broken, direct, rude, watched, ()) = tokio::join!(
        join_all(talking),
        join_all(breaking),
        join_all(direct),
        join_all(rude),
        watch(&mut server, until, &mut memory, &mut accounts),
        async {
            sleep_until(until).await;
            proxy.calm();
        },
    );
    watched?;
    server.quiet().await?;
    let outcome = honest.leave().await;
    let mut talked = Talked::default();
    for talk in talks {
        talked.add(talk?);
    }
    let behind_faults = broken.into_iter().flatten();
    let behind_faults = behind_faults.map(|seen| Seen { read_all: false, sent_all: false, ..seen });
    accounts.add_seen(behind_faults);
    accounts.add_seen(direct.into_iter().chain(rude).flatten());
    accounts.add_seen(notes.take_seen());
    accounts.add_seen(outcome.seen.iter().cloned());
    let connections = proxy.connections();
    drop(proxy);
    stage.settle(&mut server, &base).await?;
    accounts.add_entries(server.ended().await?);
    stage.check(Check::at_least("connections", accounts.entries().count() as f64, 50.0, ""));
    stage.check(Check::at_least("links with faults", connections as f64, 10.0, ""));
    stage.check(Check::at_least("honest answers", outcome.answers() as f64, 100.0, ""));
    stage.check(Check::none("honest peers with an error", 20, &outcome.errors));
    stage.check(Check::at_least(
        "requests answered over faulty links",
        talked.answered as f64,
        10.0,
        "",
    ));
    stage.check(Check::equal("answers to another request", talked.mismatched, 0));
    stage.check(Check::none("clients that did not reconnect", 6, &talked.lost));
    let checks = accounts.checks();
    stage.checks.extend(checks);
    if lasts >= 2 * WARM {
        let slope = memory.slope(WARM);
        stage.check(Check::at_most(
            "growth of memory per minute after 60 s",
            slope,
            1.0,
            "MiB/min",
        ));
    } else {
        let grown = memory.grown(lasts / 3);
        stage.check(Check::at_most("growth of memory after a third", grown, 16.0, "MiB"));
    }
    Ok(())
}

/// Measures the server every second and collects its new entries.
async fn watch(
    server: &mut ServerProcess,
    until: Instant,
    memory: &mut Memory,
    accounts: &mut Accounts,
) -> Result<()> {
    let start = Instant::now();
    while Instant::now() < until {
        memory.samples.push((start.elapsed().as_secs_f64(), server.probe().resident()?));
        accounts.add_entries(server.ended().await?);
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// The server's memory, in seconds and MiB.
#[derive(Debug, Default)]
struct Memory {
    samples: Vec<(f64, f64)>,
}

impl Memory {
    /// Returns the growth in MiB per minute: the slope of the line that fits the samples from this
    /// time on.
    fn slope(&self, from: Duration) -> f64 {
        let samples = self.since(from);
        let mean =
            |of: fn(&(f64, f64)) -> f64| samples.iter().map(of).sum::<f64>() / samples.len() as f64;
        let (time, held) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let with = samples.iter().map(|sample| (sample.0 - time) * (sample.1 - held)).sum::<f64>();
        let spread = samples.iter().map(|sample| (sample.0 - time).powi(2)).sum::<f64>();
        60.0 * with / spread
    }

    /// Returns the largest growth in MiB after this time.
    fn grown(&self, from: Duration) -> f64 {
        let samples = self.since(from);
        let first = samples.first().map_or(f64::NAN, |sample| sample.1);
        samples.iter().map(|sample| sample.1 - first).fold(f64::NAN, f64::max)
    }

    fn since(&self, from: Duration) -> Vec<(f64, f64)> {
        let from = from.as_secs_f64();
        self.samples.iter().copied().filter(|(at, _)| *at >= from).collect()
    }
}

type Rude = futures::future::BoxFuture<'static, Seen>;

/// Connects and misbehaves in one way, again and again, at most five times per second.
async fn again_and_again(
    addr: SocketAddr,
    mut rng: fastrand::Rng,
    until: Instant,
    how: fn(RawPeer, fastrand::Rng) -> Rude,
) -> Vec<Seen> {
    let mut all = Vec::new();
    while Instant::now() < until {
        sleep(Duration::from_millis(rng.u64(50..200))).await;
        let Ok(peer) = RawPeer::join(addr).await else { continue };
        all.push(how(peer, rng.fork()).await);
    }
    all
}

/// Makes a handler panic.
fn panics(mut peer: RawPeer, mut rng: fastrand::Rng) -> Rude {
    let code = if rng.bool() { Code::Panic } else { Code::PanicBlocking };
    Box::pin(async move {
        let _ = peer.writer.send(code, Bytes::new()).await;
        let _ = timeout(Duration::from_secs(5), peer.listen()).await;
        peer.seen()
    })
}

/// Makes handlers hang until they are aborted, and leaves before all of them are.
fn hangs(mut peer: RawPeer, mut rng: fastrand::Rng) -> Rude {
    Box::pin(async move {
        let calls = (0..rng.u64(1..200)).map(|_| (Code::HangBriefly, Bytes::new()));
        let _ = peer.writer.send_all(calls).await;
        let _ = timeout(Duration::from_millis(rng.u64(100..1_500)), peer.listen()).await;
        peer.reset()
    })
}

/// Reads nothing until it is disconnected.
fn stalls(mut peer: RawPeer, mut rng: fastrand::Rng) -> Rude {
    Box::pin(async move {
        sleep(Duration::from_millis(rng.u64(500..5_000))).await;
        let _ = timeout(Duration::from_secs(5), peer.listen()).await;
        peer.reset()
    })
}

/// Sends and closes the socket. The sent messages still count.
fn hangs_up(mut peer: RawPeer, mut rng: fastrand::Rng) -> Rude {
    static STREAM: AtomicU64 = AtomicU64::new(1_000);
    Box::pin(async move {
        let stream = STREAM.fetch_add(1, Ordering::Relaxed);
        let lines = (0..rng.u64(1..300)).map(|n| (Code::Sink, Line::new(stream, n).body(100)));
        let _ = peer.writer.send_all(lines).await;
        peer.leave().await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_seen_and_a_warm_up_is_not() {
        let held = |at: f64| if at < 60.0 { at } else { 60.0 + (at - 60.0) / 30.0 };
        let samples = (0..300).map(f64::from).map(|at| (at, held(at))).collect();
        let memory = Memory { samples };
        assert!((memory.slope(WARM) - 2.0).abs() < 0.01, "{}", memory.slope(WARM));
        assert!((memory.grown(WARM) - 239.0 / 30.0).abs() < 0.01);
    }

    #[test]
    fn what_was_not_measured_is_no_slope() {
        assert!(Memory::default().slope(WARM).is_nan());
        assert!(Memory::default().grown(WARM).is_nan());
    }
}
