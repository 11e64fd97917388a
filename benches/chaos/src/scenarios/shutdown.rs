//! The end of a server during its work.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::broadcasts::join_many;
use crate::accounts::Seen;
use crate::check::Check;
use crate::peer::RawPeer;
use crate::server::{News, Setup};
use crate::stage::{Stage, patiently, until};

/// R40: a shutdown during broadcasts drops no message without counting it.
pub(crate) async fn r40_shutdown_in_broadcast(stage: &mut Stage) -> Result<()> {
    const PEERS: usize = 100;
    const NEWS: News = News { messages: 1_000, size: 1_024, per_second: 1_000 };
    let drain = Duration::from_secs(3);
    // The system accepts little, so that the outboxes hold frames when the shutdown begins.
    let setup = Setup { drain, max_unsent: Some(16 << 10), ..Setup::default() };
    let (mut server, base) = stage.serve(setup).await?;
    let mut rng = stage.rng(0);
    let mut reading = JoinSet::new();
    for (number, peer) in join_many(server.addr(), PEERS).await?.into_iter().enumerate() {
        // Most peers read at once, some slowly, and three too slowly for the drain.
        let pause = match (number, rng.u8(0..4)) {
            (0..3, _) => 40,
            (_, 0) => rng.u64(2..4),
            _ => 0,
        };
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
    let whole = seen.iter().filter(|seen| seen.read_all).count() as f64;
    let most = drain.as_secs_f64() + 0.5;
    stage.check(Check::within(
        "messages published before it",
        published.published as f64,
        [1.0, 999.0],
        "",
    ));
    stage.check(Check::at_least("streams written to their end", whole, 97.0, "").timed());
    stage.check(Check::equal(
        "connections that the shutdown ended",
        shutdown.connections,
        PEERS as u64,
    ));
    stage.check(Check::at_most("time of the shutdown", took.max(shutdown.took), most, "s").timed());
    stage.check(Check::equal("the shutdown is complete", shutdown.complete, true));
    stage.check(Check::equal("tasks after the shutdown", shutdown.tasks, 0));
    let accounts = stage.close(&mut server, &base, seen).await?;
    let (sent, flushed) = (accounts.totals().sent, shutdown.flushed as f64);
    let [known, gone] = [shutdown.queued + shutdown.accepted, shutdown.flushed + shutdown.dropped];
    stage.check(Check::equal("frames flushed or dropped, of the queued ones", gone, known));
    stage.check(Check::equal("dropped frames in its report", shutdown.dropped, sent.dropped));
    stage.check(Check::at_least("dropped frames", sent.dropped as f64, 1.0, ""));
    let written = sent.written as f64;
    stage.check(Check::within("flushed frames in its report", flushed, [1.0, written], ""));
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
