//! Many peers that connect and leave.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout_at};

use crate::accounts::Seen;
use crate::check::Check;
use crate::honest::Honest;
use crate::peer::RawPeer;
use crate::server::{News, Setup};
use crate::stage::{Stage, patiently, until};
use crate::wire::{Code, Line};

/// The peers that connect at the same time.
const AT_ONCE: usize = 32;

/// R52: the messages that a peer sent before it closed its socket are handled.
pub(crate) async fn r52_eof_after_sends(stage: &mut Stage) -> Result<()> {
    const PEERS: u64 = 500;
    const MESSAGES: u64 = 100;
    let (mut server, base) = stage.serve(Setup::default()).await?;
    let addr = server.addr();
    let send = |stream| async move {
        let mut peer = RawPeer::join(addr).await?;
        let lines = (0..MESSAGES).map(|number| (Code::Sink, Line::new(stream, number).body(64)));
        peer.writer.send_all(lines).await?;
        // Half of the peers wait for the server's end of the stream, and half close the socket at
        // once.
        Ok::<_, std::io::Error>(if stream % 2 == 0 { peer.leave().await } else { peer.hang_up() })
    };
    let all = stream::iter(1..=PEERS).map(send).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let joined = patiently("the peers leave", all).await?;
    let errors: Vec<_> =
        joined.iter().filter_map(|it| it.as_ref().err()?.to_string().into()).collect();
    let seen: Vec<_> = joined.into_iter().flatten().collect();
    stage.check(Check::none("peers with an error", PEERS as usize, &errors));
    let accounts = stage.close(&mut server, &base, seen).await?;
    let received = accounts.totals().received;
    stage.check(Check::equal("messages handled", received.handled, PEERS * MESSAGES));
    stage.check(Check::equal("messages received", received.received, PEERS * MESSAGES));
    Ok(())
}

/// R33: peers that connect, get tags and leave do not leave anything behind.
pub(crate) async fn r33_churn(stage: &mut Stage) -> Result<()> {
    let cycles = stage.pick(50_000, 5_000);
    let warm_up = cycles / 10;
    let (mut server, base) =
        stage.serve(Setup { keeps_entries: false, ..Setup::default() }).await?;
    let addr = server.addr();
    let mut errors = churn(addr, 0..warm_up).await;
    until(&mut server, Duration::from_secs(5), |report| report.peers == 0).await?;
    let warm = server.probe().resident()?;
    errors.extend(churn(addr, warm_up..cycles).await);
    stage.settle(&mut server, &base).await?;
    let report = server.report().await?;
    let grown = server.probe().resident()? - warm;
    stage.check(Check::none("cycles with an error", cycles as usize, &errors));
    stage.check(Check::equal("connections that ended", report.ended, cycles));
    stage.check(Check::equal("peers in the index of tags", report.tagged, 0));
    stage.check(Check::at_most("growth of memory since the warm-up", grown, 16.0, "MiB"));
    Ok(())
}

/// Connects peers that get tags and leave, every second one without an orderly end. Each few
/// hundred of them have an address of their own, since one address has ports for only 28 000
/// connections per minute.
async fn churn(addr: SocketAddr, cycles: std::ops::Range<u64>) -> Vec<String> {
    let cycle = |number: u64| async move {
        let [high, low] = ((number / 256) as u16).to_be_bytes();
        let mut peer = RawPeer::join_from(Ipv4Addr::new(127, 1, high, low.max(1)), addr).await?;
        peer.ask(Code::Tag, Default::default()).await?;
        if number.is_multiple_of(2) {
            peer.reset();
        }
        Ok::<_, std::io::Error>(())
    };
    let all = stream::iter(cycles).map(cycle).buffer_unordered(AT_ONCE);
    all.filter_map(async |ended| ended.err().map(|error| error.to_string())).collect().await
}

/// Peers break off in every way and at every moment during broadcasts to all.
pub(crate) async fn resets(stage: &mut Stage) -> Result<()> {
    const PEERS: u64 = 48;
    let lasts = stage.pick(Duration::from_secs(10), Duration::from_secs(3));
    let (mut server, base) = stage.serve(Setup::default()).await?;
    let honest = Honest::join(server.addr()).await?;
    server.publish(News { messages: u64::MAX, size: 512, per_second: 300 }).await?;
    let (addr, until) = (server.addr(), Instant::now() + lasts);
    let all = (1..=PEERS).map(|number| break_off(addr, number, stage.rng(number), until));
    let broken = patiently("the peers end", futures::future::join_all(all)).await?;
    server.quiet().await?;
    let outcome = honest.leave().await;
    let mut seen: Vec<Seen> = broken.into_iter().flatten().collect();
    stage.check(Check::at_least("connections that broke off", seen.len() as f64, 50.0, ""));
    stage.check(Check::at_least("honest answers", outcome.answers() as f64, 100.0, ""));
    stage.check(Check::none("honest peers with an error", 20, &outcome.errors));
    seen.extend(outcome.seen);
    stage.close(&mut server, &base, seen).await?;
    Ok(())
}

/// Connects, sends for a while, and breaks off, again and again.
pub(crate) async fn break_off(
    addr: SocketAddr,
    stream: u64,
    mut rng: fastrand::Rng,
    until: Instant,
) -> Vec<Seen> {
    let mut all = Vec::new();
    while Instant::now() < until {
        let Ok(mut peer) = RawPeer::join(addr).await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let messages = rng.u64(0..40);
        for number in 0..messages {
            let code = if rng.bool() { Code::Sink } else { Code::Echo };
            let body = Line::new(stream, number).body(rng.usize(24..3_000));
            if peer.writer.send(code, body).await.is_err() {
                break;
            }
        }
        if rng.bool() {
            let pause = Instant::now() + Duration::from_millis(rng.u64(0..120));
            let _ = timeout_at(pause, peer.listen()).await;
        }
        all.push(match rng.u8(0..4) {
            0 => peer.leave().await,
            1 => {
                // The peer breaks off in the middle of a frame.
                let _ = peer.writer.begin(Code::Sink, Line::new(stream, messages).body(99)).await;
                peer.leave().await
            }
            // The peer does not read the waiting bytes, so that the system sends a reset.
            2 => peer.seen(),
            _ => peer.reset(),
        });
    }
    all
}
