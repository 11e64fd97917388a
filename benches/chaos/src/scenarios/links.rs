//! Broken links.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use veltix::{Client, ClientConfig, Message, Reconnect};

use super::crowd::break_off;
use crate::check::Check;
use crate::client::Notes;
use crate::proxy::{Fate, FaultProxy};
use crate::server::{News, Setup};
use crate::stage::{Stage, patiently};
use crate::wire::{Code, Line};

/// The time limit of a request.
const REQUEST: Duration = Duration::from_secs(1);

/// The time that a request may exceed its limit by on a busy machine.
const LATE: Duration = Duration::from_millis(500);

/// The silence after which each side sends a ping.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The peers that do not reconnect but make new connections.
const PEERS: u64 = 8;

/// Clients and raw peers behind a proxy that applies every fault to their links.
pub(crate) async fn cut_links(stage: &mut Stage) -> Result<()> {
    cut(stage, setup(), PEERS, |config| config).await
}

/// The same with a server that has a thread for each connection.
pub(crate) async fn cut_links_on_threads(stage: &mut Stage) -> Result<()> {
    cut(stage, Setup { threading: true, ..setup() }, PEERS, |config| config).await
}

/// The same over TLS, with clients alone, since raw peers have no TLS.
#[cfg(feature = "tls")]
pub(crate) async fn cut_links_over_tls(stage: &mut Stage) -> Result<()> {
    let pem = crate::tls::Pem::new()?;
    let tls = pem.client()?;
    let setup = Setup { tls: Some(pem), ..setup() };
    cut(stage, setup, 0, move |config| config.tls(tls.clone())).await
}

fn setup() -> Setup {
    let write_stall = Duration::from_secs(3);
    Setup { heartbeat: Some(HEARTBEAT), write_stall, ..Setup::default() }
}

async fn cut(
    stage: &mut Stage,
    setup: Setup,
    peers: u64,
    adjust: impl Fn(ClientConfig) -> ClientConfig,
) -> Result<()> {
    const CLIENTS: u64 = 12;
    let lasts = stage.pick(Duration::from_secs(20), Duration::from_secs(6));
    let (mut server, base) = stage.serve(setup).await?;
    let proxy = FaultProxy::start(server.addr(), stage.seed(), Fate::draw).await?;
    server.publish(News { messages: u64::MAX, size: 256, per_second: 100 }).await?;
    let (addr, until) = (proxy.addr(), Instant::now() + lasts);
    let notes = Notes::through_faults();
    let talking = (1..=CLIENTS).map(|n| talk(adjust(config(addr)), n, stage.rng(n), until, &notes));
    let breaking = (100..100 + peers).map(|n| break_off(addr, n, stage.rng(n), until));
    let both = async { tokio::join!(join_all(talking), join_all(breaking)) };
    let (talks, broken) = patiently("the peers", async {
        let calm = async {
            tokio::time::sleep_until(until).await;
            proxy.calm();
        };
        tokio::join!(both, calm).0
    })
    .await?;
    server.quiet().await?;
    let mut talked = Talked::default();
    for talk in talks {
        talked.add(talk?);
    }
    // Observations behind a proxy that cuts prove nothing, except that decoded frames were sent.
    let raw = broken.into_iter().flatten().map(|mut seen| {
        (seen.read_all, seen.sent_all) = (false, false);
        seen
    });
    let mut seen: Vec<_> = raw.collect();
    seen.extend(notes.take_seen());
    stage.check(Check::at_least("links through the proxy", proxy.connections() as f64, 20.0, ""));
    stage.check(Check::at_least("requests answered", talked.answered as f64, 100.0, ""));
    stage.check(Check::at_least("requests that failed", talked.failed as f64, 1.0, ""));
    stage.check(Check::equal("answers to another request", talked.mismatched, 0));
    stage.check(Check::equal("requests that ended late", talked.late, 0).timed());
    stage.check(Check::none("clients that did not reconnect", CLIENTS as usize, &talked.lost));
    drop(proxy);
    stage.close(&mut server, &base, seen).await?;
    Ok(())
}

/// The results of the clients' requests.
#[derive(Debug, Default)]
pub(super) struct Talked {
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) mismatched: u64,
    late: u64,
    pub(super) lost: Vec<String>,
}

impl Talked {
    pub(super) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.mismatched += other.mismatched;
        self.late += other.late;
        self.lost.extend(other.lost);
    }
}

/// Returns the configuration of a client that reconnects soon, again and again.
pub(super) fn config(addr: SocketAddr) -> ClientConfig {
    ClientConfig::default()
        .addr(addr.to_string())
        .heartbeat(Some(HEARTBEAT))
        .handshake_timeout(Duration::from_secs(1))
        .reconnect(Reconnect::fixed(Duration::from_millis(20)).initial(true))
}

/// Sends requests and messages until the time has ended, whatever happens to the links. The client
/// must then reconnect once more.
pub(super) async fn talk(
    config: ClientConfig,
    stream: u64,
    mut rng: fastrand::Rng,
    until: Instant,
    notes: &Notes,
) -> Result<Talked> {
    let client = Client::connect(config, notes.router()).await?;
    let (mut talked, mut number) = (Talked::default(), 0);
    while Instant::now() < until {
        if client.connected().await.is_err() {
            break;
        }
        for _ in 0..rng.u64(0..5) {
            let body = Line::new(stream, number).body(rng.usize(24..2_000));
            // A refused message is not sent, so its number is free.
            if client.try_send(&Message::new(Code::Sink, body)).is_ok() {
                number += 1;
            }
        }
        ask(&client, rng.u64(..), &mut talked).await;
        sleep(Duration::from_millis(rng.u64(0..15))).await;
    }
    let mut last = Talked::default();
    let back = timeout(Duration::from_secs(10), async {
        while last.answered == 0 && client.connected().await.is_ok() {
            ask(&client, rng.u64(..), &mut last).await;
        }
    });
    if back.await.is_err() || last.answered == 0 {
        talked.lost.push(format!("client {stream}: {:?}", *client.status().borrow()));
    }
    talked.mismatched += last.mismatched;
    client.close().await;
    Ok(talked)
}

/// Sends one request. Its body is unique, and too short for a line.
async fn ask(client: &Client, nonce: u64, talked: &mut Talked) {
    let start = Instant::now();
    let question = Message::new(Code::Echo, nonce.to_be_bytes().to_vec());
    match client.request(&question).timeout(REQUEST).await {
        Ok(answer) if *answer.body() == nonce.to_be_bytes()[..] => talked.answered += 1,
        Ok(_) => talked.mismatched += 1,
        Err(_) => talked.failed += 1,
    }
    talked.late += u64::from(start.elapsed() > REQUEST + LATE);
}
