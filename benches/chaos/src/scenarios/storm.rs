//! A server that returns for all its clients at once.

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep, timeout};
use veltix::{Client, ClientConfig, Message, Reconnect};

use crate::check::Check;
use crate::client::Notes;
use crate::server::Setup;
use crate::stage::{Stage, patiently};
use crate::wire::Code;

/// R20: clients that lost their server reconnect spread over time, and all of them do.
pub(crate) async fn r20_reconnect_storm(stage: &mut Stage) -> Result<()> {
    const CLIENTS: usize = 500;
    // One client in five within a tenth of a second.
    const PEAK: f64 = 20.0;
    let (server, _) = stage.serve(Setup::default()).await?;
    let addr = server.addr();
    let notes = Notes::default();
    let config = ClientConfig::default().addr(addr.to_string()).reconnect(Reconnect::backoff());
    let join = |_| Client::connect(config.clone(), notes.router());
    let joined = stream::iter(0..CLIENTS).map(join).buffer_unordered(32).try_collect();
    let clients: Vec<Client> = patiently("the clients join", joined).await??;
    server.kill();
    patiently("the clients notice", async {
        while notes.ended() < CLIENTS {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await?;
    sleep(Duration::from_millis(200)).await;
    // Only the clients' observations of the first server are known, so only the second one counts.
    notes.take_seen();
    notes.take_arrivals();
    let (mut server, base) =
        stage.serve(Setup { addr: addr.to_string(), ..Setup::default() }).await?;
    let start = Instant::now();
    let all_back = async {
        while notes.arrived() < CLIENTS {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = timeout(Duration::from_secs(60), all_back).await.is_ok();
    let took = if in_time { start.elapsed().as_secs_f64() } else { f64::NAN };
    let peak =
        100.0 * busiest(notes.take_arrivals(), Duration::from_millis(100)) as f64 / CLIENTS as f64;
    stage.check(Check::at_most("time until all are back", took, 15.0, "s").timed());
    stage.check(Check::at_most("back within any 100 ms", peak, PEAK, "%").timed());
    let ask = async |client: &Client| {
        let answer = client.request(&Message::from_text(Code::Echo, "back?")).await;
        answer.err().map(|error| error.to_string())
    };
    let errors: Vec<_> = stream::iter(&clients).map(ask).buffer_unordered(32).collect().await;
    let errors: Vec<_> = errors.into_iter().flatten().collect();
    stage.check(Check::none("clients without an answer", CLIENTS, &errors));
    let close = async |client: &Client| drop(client.close().await);
    stream::iter(&clients).map(close).buffer_unordered(32).collect::<()>().await;
    stage.close(&mut server, &base, notes.take_seen()).await?;
    Ok(())
}

/// Returns the largest number of arrivals within this time.
fn busiest(mut arrivals: Vec<Instant>, within: Duration) -> usize {
    arrivals.sort_unstable();
    let from = |at: usize| {
        let (first, rest) = (arrivals[at], &arrivals[at..]);
        rest.iter().take_while(|arrival| **arrival < first + within).count()
    };
    (0..arrivals.len()).map(from).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_moment_may_begin_anywhere() {
        let start = Instant::now();
        let at = |all: &[u64]| all.iter().map(|n| start + Duration::from_millis(*n)).collect();
        assert_eq!(busiest(at(&[95, 0, 104, 101, 99, 300]), Duration::from_millis(100)), 4);
        assert_eq!(busiest(Vec::new(), Duration::from_millis(100)), 0);
    }
}
