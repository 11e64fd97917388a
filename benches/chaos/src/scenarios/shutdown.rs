//! The end of a server in the middle of its work.

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

/// R40: a shutdown while everybody is published to loses nothing in silence.
pub(crate) async fn r40_shutdown_in_broadcast(stage: &mut Stage) -> Result<()> {
    const PEERS: usize = 100;
    const NEWS: News = News { messages: 1_000, size: 1_024, per_second: 1_000 };
    let drain = Duration::from_secs(3);
    // The system takes on little, so that outboxes are not empty when it comes.
    let setup = Setup { drain, max_unsent: Some(16 << 10), ..Setup::default() };
    let (mut server, base) = stage.serve(setup).await?;
    let mut rng = stage.rng(0);
    let mut reading = JoinSet::new();
    for (number, peer) in join_many(server.addr(), PEERS).await?.into_iter().enumerate() {
        // Most read at once, some slowly, and three too slowly for the drain.
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
    let whole = seen.iter().filter(|seen| seen.heard_all).count() as f64;
    let most = drain.as_secs_f64() + 0.5;
    stage.check(Check::within("published before it", published.published as f64, [1.0, 999.0], ""));
    stage.check(Check::at_least("streams that were written to their end", whole, 97.0, "").timed());
    stage.check(Check::equal("connections that it ended", shutdown.connections, PEERS as u64));
    stage.check(Check::at_most("the shutdown", took.max(shutdown.took), most, "s").timed());
    stage.check(Check::equal("it is complete", shutdown.complete, true));
    stage.check(Check::equal("tasks behind it", shutdown.tasks, 0));
    let accounts = stage.close(&mut server, &base, seen).await?;
    let (sent, flushed) = (accounts.totals().sent, shutdown.flushed as f64);
    let [known, gone] = [shutdown.queued + shutdown.accepted, shutdown.flushed + shutdown.dropped];
    stage.check(Check::equal("frames flushed and dropped, of those that it had", gone, known));
    stage.check(Check::equal("frames that it says it dropped", shutdown.dropped, sent.dropped));
    stage.check(Check::at_least("frames that it dropped", sent.dropped as f64, 1.0, ""));
    let written = sent.written as f64;
    stage.check(Check::within("frames that it says it flushed", flushed, [1.0, written], ""));
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
