//! Handlers that fail.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use crate::check::Check;
use crate::honest::Honest;
use crate::peer::RawPeer;
use crate::server::Setup;
use crate::stage::{Stage, patiently};
use crate::wire::Code;

/// R29: a handler that panics ends its own connection and nothing else.
pub(crate) async fn r29_handler_panics(stage: &mut Stage) -> Result<()> {
    const PANICS: u64 = 1_000;
    let (mut server, base) = stage.serve(Setup::default()).await?;
    let honest = Honest::join(server.addr()).await?;
    let addr = server.addr();
    let panic = |number: u64| async move {
        let code = if number.is_multiple_of(2) { Code::Panic } else { Code::PanicBlocking };
        let mut peer = RawPeer::join(addr).await?;
        peer.writer.send(code, Bytes::new()).await?;
        peer.listen().await;
        Ok::<_, std::io::Error>(peer.seen())
    };
    let all = stream::iter(0..PANICS).map(panic).buffer_unordered(16).collect::<Vec<_>>();
    let ended = patiently("all handlers panic", all).await?;
    // No thread and no permit was lost by a panic.
    let mut peers = Vec::new();
    for _ in 0..8 {
        peers.push(RawPeer::join(addr).await?);
    }
    let start = Instant::now();
    let asked = peers.iter_mut().map(|peer| peer.ask(Code::EchoBlocking, Bytes::from("still?")));
    let answers = timeout(Duration::from_secs(10), futures::future::join_all(asked)).await?;
    let took = start.elapsed().as_secs_f64();
    let outcome = honest.leave().await;
    let mut seen: Vec<_> = ended.into_iter().flatten().collect();
    let errors: Vec<_> =
        answers.iter().filter_map(|answer| Some(answer.as_ref().err()?.to_string())).collect();
    stage.check(Check::none("honest peers with an error", 20, &outcome.errors));
    stage.check(Check::none("failed blocking calls after the panics", 8, &errors));
    stage.check(Check::at_most("blocking calls after the panics", took, 1.0, "s").timed());
    stage.check(Check::equal("panics counted", server.report().await?.panics, PANICS));
    seen.extend(outcome.seen);
    for peer in peers {
        seen.push(peer.leave().await);
    }
    let accounts = stage.close(&mut server, &base, seen).await?;
    let closed = accounts.entries().filter(|entry| entry.reason == "a handler panicked").count();
    stage.check(Check::equal("connections closed by a panic", closed as u64, PANICS));
    Ok(())
}

/// R30: a handler that never returns holds only its own connection and little memory. A shutdown
/// does not wait for it.
pub(crate) async fn r30_hung_handlers(stage: &mut Stage) -> Result<()> {
    const CALLS: usize = 10_000;
    // The limit of the inbox, and the message in the handler.
    const WAITING: f64 = 65.0;
    let drain = Duration::from_secs(2);
    let lasts = stage.pick(Duration::from_secs(4), Duration::from_millis(1_500));
    let (mut server, base) = stage.serve(Setup { drain, ..Setup::default() }).await?;
    let honest = Honest::join(server.addr()).await?;
    sleep(lasts).await;
    let before = honest.leave().await;
    let honest = Honest::join(server.addr()).await?;
    let mut hung = RawPeer::join(server.addr()).await?;
    let calls = (0..CALLS).map(|_| (Code::Hang, Bytes::from_static(&[b'x'; 64])));
    // The system may accept less than all of it, since the server stops reading.
    let _ = timeout(lasts, hung.writer.send_all(calls)).await;
    sleep(lasts).await;
    let living = server.living().await?;
    let waiting = living.iter().find(|entry| entry.id == hung.id()).map(|it| it.received.waiting);
    let grown = server.probe().resident()? - base.resident;
    let during = honest.leave().await;
    let most = (2.0 * before.p99()).max(10.0);
    stage.check(Check::at_most("p99 of honest peers", during.p99(), most, "ms").timed());
    stage.check(Check::none("honest peers with an error", 20, &during.errors));
    let waiting = waiting.map_or(f64::NAN, |waiting| waiting as f64);
    stage.check(Check::at_most("messages that wait for the handler", waiting, WAITING, ""));
    stage.check(Check::at_most("growth of memory", grown, 16.0, "MiB"));
    let start = Instant::now();
    let listen = hung.listen();
    let (shutdown, ()) = tokio::join!(server.shutdown(), listen);
    let (shutdown, took) = (shutdown?, start.elapsed().as_secs_f64());
    stage.check(
        Check::at_most("time of the shutdown", took, drain.as_secs_f64() + 1.0, "s").timed(),
    );
    stage.check(Check::equal("handlers aborted by the shutdown", shutdown.aborted_handlers, 1));
    stage.check(Check::equal("tasks after the shutdown", shutdown.tasks, 0));
    let seen = [before.seen, during.seen, vec![hung.seen()]].concat();
    stage.close(&mut server, &base, seen).await?;
    Ok(())
}
