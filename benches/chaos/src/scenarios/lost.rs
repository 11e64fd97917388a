//! Peers that disappear without a notice, in a network of their own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use veltix::{Client, ClientConfig, Message};

use crate::accounts::Seen;
use crate::check::Check;
use crate::client::Notes;
use crate::namespace::Namespace;
use crate::peer::RawPeer;
use crate::server::{News, ServerProcess, Setup};
use crate::stage::{Stage, patiently};
use crate::wire::Code;

/// The peers on the other side.
const PEERS: usize = 5;

/// R17: both sides detect that the other has disappeared, although nothing notifies them.
pub(crate) async fn r17_half_open(stage: &mut Stage) -> Result<()> {
    let namespace = Namespace::new()?;
    let heartbeat = Some(Duration::from_secs(1));
    let setup = Setup { heartbeat, ..Setup::default() };
    let command = namespace.command(&Command::new(std::env::current_exe()?));
    let (mut server, base) = stage.serve_by(command, setup).await?;
    let addr = server.addr();
    let notes = Notes::through_faults();
    let (ready, is_ready) = oneshot::channel();
    let router = notes.clone();
    let clients = namespace.run(async move || {
        let config = ClientConfig::default().addr(addr.to_string()).heartbeat(heartbeat);
        let mut clients = Vec::new();
        for _ in 0..PEERS {
            clients.push(Client::connect(config.clone(), router.router()).await?);
        }
        for client in &clients {
            client.request(&Message::from_text(Code::Echo, "there?")).await?;
        }
        // If this cannot be sent, the receiving task has ended.
        let _ = ready.send(());
        let ended = async |client: &Client| (client.peer().closed().await.reason, Instant::now());
        let ended = join_all(clients.iter().map(ended)).await;
        anyhow::Ok(ended)
    })?;
    patiently("the clients join", is_ready).await??;
    namespace.cut()?;
    let start = Instant::now();
    let (first, last) = gone(&mut server, start).await?;
    let ended = patiently("the clients notice", clients).await???;
    namespace.heal()?;
    let seconds: Vec<_> = ended.iter().map(|(_, at)| (*at - start).as_secs_f64()).collect();
    let figures = [
        ("the server detects the first", first),
        ("the server detects the last", last),
        ("the first client detects it", seconds.iter().copied().fold(f64::INFINITY, f64::min)),
        ("the last client detects it", seconds.iter().copied().fold(0.0, f64::max)),
    ];
    for (what, measured) in figures {
        stage.check(Check::within(what, measured, [2.0, 3.5], "s").timed());
    }
    let silent = |reason: &str| reason == "the peer did not answer pings";
    let theirs = ended.iter().map(|(reason, _)| reason.to_string());
    let accounts = stage.close(&mut server, &base, notes.take_seen()).await?;
    let reasons: Vec<_> = theirs.chain(accounts.entries().map(|it| it.reason.clone())).collect();
    let wrong: Vec<_> = reasons.iter().filter(|reason| !silent(reason)).cloned().collect();
    stage.check(Check::none(
        "connections that ended for another reason than silence",
        reasons.len(),
        &wrong,
    ));
    Ok(())
}

/// R18: unacknowledged data ends the connection long before the system would.
pub(crate) async fn r18_unacknowledged(stage: &mut Stage) -> Result<()> {
    // The system accepts little data as a whole, so only its own clock can detect the loss. Of much
    // data, a part waits for the peer.
    let little = News { messages: 1, size: 100, per_second: 1_000 };
    let much = News { messages: 500, size: 16 << 10, per_second: 10_000 };
    for (what, news) in [
        ("end with little data unacknowledged", little),
        ("end with much data unacknowledged", much),
    ] {
        let namespace = Namespace::new()?;
        let write_stall = Duration::from_secs(3);
        // Pings are off, since they would detect the loss as well.
        let setup = Setup { heartbeat: None, write_stall, ..Setup::default() };
        let command = namespace.command(&Command::new(std::env::current_exe()?));
        let (mut server, base) = stage.serve_by(command, setup).await?;
        let addr = server.addr();
        let (ready, is_ready) = oneshot::channel();
        let (over, is_over) = oneshot::channel::<()>();
        let peers = namespace.run(async move || {
            let peers = join_quietly(addr).await?;
            let _ = ready.send(());
            // The peers hold their sockets until then and read nothing.
            let _ = is_over.await;
            anyhow::Ok(peers.iter().map(RawPeer::seen).collect::<Vec<_>>())
        })?;
        patiently("the peers join", is_ready).await??;
        namespace.cut()?;
        server.publish(news).await?;
        let (first, last) = gone(&mut server, Instant::now()).await?;
        stage.check(Check::at_most(what, last, 4.0, "s").timed());
        stage.check(Check::at_least("but no earlier", first, 2.0, "s"));
        let _ = over.send(());
        let seen: Vec<Seen> = patiently("the peers", peers).await???;
        stage.close(&mut server, &base, seen).await?;
    }
    Ok(())
}

async fn join_quietly(addr: SocketAddr) -> Result<Vec<RawPeer>> {
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let mut peer = RawPeer::join(addr).await?;
        peer.ask(Code::Echo, Default::default()).await?;
        peers.push(peer);
    }
    Ok(peers)
}

/// Waits until the server has disconnected all its peers. Returns the seconds until the first and
/// until the last disconnect.
async fn gone(server: &mut ServerProcess, start: Instant) -> Result<(f64, f64)> {
    let mut first = f64::NAN;
    let all = timeout(Duration::from_secs(30), async {
        loop {
            let peers = server.report().await?.peers;
            if peers < PEERS && first.is_nan() {
                first = start.elapsed().as_secs_f64();
            }
            if peers == 0 {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    all.await.context("the server never detected the loss")??;
    Ok((first, start.elapsed().as_secs_f64()))
}
