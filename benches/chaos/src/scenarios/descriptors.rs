//! A server without free descriptors.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::check::Check;
use crate::peer::RawPeer;
use crate::server::Setup;
use crate::stage::{Stage, until};

/// R16: without a free descriptor, the server waits without using a core, and recovers by itself.
pub(crate) async fn r16_descriptors(stage: &mut Stage) -> Result<()> {
    const DESCRIPTORS: u64 = 64;
    const PEERS: u64 = 120;
    let lasts = stage.pick(Duration::from_secs(8), Duration::from_secs(4));
    let setup = Setup { descriptors: Some(DESCRIPTORS), ..Setup::default() };
    let (mut server, base) = stage.serve(setup).await?;
    let addr = server.addr();
    let leave = watch::Sender::new(false);
    let mut peers = JoinSet::new();
    for _ in 0..PEERS {
        let mut left = leave.subscribe();
        peers.spawn(async move {
            // Many of them never receive a byte: the system has accepted them, and the server
            // cannot.
            let peer = tokio::select! {
                peer = RawPeer::join(addr) => peer.ok()?,
                _ = left.wait_for(|left| *left) => return None,
            };
            let _ = left.wait_for(|left| *left).await;
            Some(peer.leave().await)
        });
    }
    let most = DESCRIPTORS as usize - 16;
    let joined = until(&mut server, Duration::from_secs(5), |it| it.peers >= most).await?.peers;
    sleep(Duration::from_millis(200)).await;
    let (probe, logged) = (server.probe(), server.unaccepted());
    let (processor, start) = (probe.processor()?, Instant::now());
    sleep(lasts).await;
    let spent = probe.processor()?.saturating_sub(processor);
    let share = 100.0 * spent.as_secs_f64() / start.elapsed().as_secs_f64();
    let lines = server.unaccepted() - logged;
    let held = probe.descriptors()?;
    leave.send_replace(true);
    let start = Instant::now();
    let newcomer = timeout(Duration::from_secs(10), RawPeer::join(addr)).await;
    let took = start.elapsed().as_secs_f64();
    let mut seen = vec![newcomer.context("no new peer can join")??.leave().await];
    while let Some(ended) = peers.join_next().await {
        seen.extend(ended?);
    }
    stage.check(Check::at_least("peers that joined", joined as f64, 40.0, ""));
    stage.check(Check::at_least("descriptors held", held as f64, DESCRIPTORS as f64, ""));
    stage
        .check(Check::at_most("share of a core without free descriptors", share, 5.0, "%").timed());
    stage.check(Check::at_most("lines logged", lines as f64, 10.0, ""));
    stage.check(Check::at_least("lines logged at all", lines as f64, 1.0, ""));
    stage.check(
        Check::at_most("time for a new peer after descriptors are free", took, 1.5, "s").timed(),
    );
    stage.close(&mut server, &base, seen).await?;
    Ok(())
}
