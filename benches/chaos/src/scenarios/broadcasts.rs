//! Broadcasts to many peers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::timeout;

use crate::accounts::Seen;
use crate::check::Check;
use crate::peer::RawPeer;
use crate::server::{News, Setup};
use crate::stage::{Stage, patiently};
use crate::wire::Code;

/// R24: a message to all peers is in memory only once.
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
        let received = join_all(peers.iter_mut().map(|peer| async move {
            let message = timeout(Duration::from_secs(30), peer.next()).await;
            let whole = matches!(&message, Ok(Ok(Some(it))) if it.body().len() == 1 << 20);
            (!whole).then(|| format!("#{} in round {round}", peer.id()))
        }));
        lost.extend(received.await.into_iter().flatten());
    }
    let grown = probe.peak()? - before;
    stage.check(Check::none("copies that did not arrive", PEERS * rounds, &lost));
    stage.check(Check::at_most("highest growth of memory", grown, 16.0, "MiB"));
    let seen = join_all(peers.into_iter().map(RawPeer::leave)).await;
    // Each round numbers its messages from the start.
    let seen = seen.into_iter().map(|seen| Seen { order: Default::default(), ..seen }).collect();
    stage.close(&mut server, &base, seen).await?;
    Ok(())
}

/// Connects this number of peers and waits until all are listed.
pub(crate) async fn join_many(addr: SocketAddr, peers: usize) -> Result<Vec<RawPeer>> {
    let join = |_| async move {
        let mut peer = RawPeer::join(addr).await?;
        // A handler runs only for a peer that is listed already.
        peer.ask(Code::Echo, Default::default()).await?;
        Ok::<_, std::io::Error>(peer)
    };
    let all = stream::iter(0..peers).map(join).buffer_unordered(32).try_collect();
    Ok(patiently("the peers join", all).await??)
}
