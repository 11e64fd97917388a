//! Requests of many tasks over some connections, counted and timed.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::{Load, Rate};

/// One in this number of requests is timed. The clock costs a few percent of a fast request.
const TIMED: u64 = 16;

/// The requests after which a task ends early.
const MOST: u64 = 100_000_000;

/// A connected client.
pub(super) trait Ask: Send + Sync + 'static {
    /// Requests an echo of 64 bytes and waits for the answer.
    fn ask(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Runs a measurement on two workers.
pub(super) fn on_two_workers(
    measured: impl Future<Output = Result<Rate>> + Send + 'static,
) -> Result<Rate> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // The calling thread is none of the two. It only waits.
    runtime.block_on(async move { tokio::spawn(measured).await? })
}

/// Sends requests through each client from the number of tasks in `load`.
pub(super) async fn measure(load: &Load, clients: Vec<impl Ask>) -> Result<Rate> {
    let start = Instant::now() + load.warm_up();
    let mut tasks = JoinSet::new();
    for client in clients {
        let client = Arc::new(client);
        for _ in 0..load.tasks {
            tasks.spawn(ask_again(Arc::clone(&client), start, load.lasts()));
        }
    }
    let (mut answered, mut times) = (0, Vec::new());
    while let Some(done) = tasks.join_next().await {
        let asked = done??;
        answered += asked.answered;
        times.extend(asked.times);
    }
    let rate = answered as f64 / load.lasts().as_secs_f64();
    times.sort_unstable();
    let median = times.get(times.len() / 2).context("no request was answered in time")?;
    Ok(Rate { rate, p50_us: median.as_nanos() as f64 / 1e3 })
}

/// The results of one task.
#[derive(Default)]
struct Asked {
    answered: u64,
    times: Vec<Duration>,
}

/// Sends one request after the other, counted after the warm-up.
async fn ask_again(client: Arc<impl Ask>, start: Instant, lasts: Duration) -> Result<Asked> {
    let end = start + lasts;
    let mut asked = Asked::default();
    for request in 0..MOST {
        let before = Instant::now();
        if before >= end {
            break;
        }
        client.ask().await?;
        if before >= start {
            asked.answered += 1;
            if request % TIMED == 0 {
                asked.times.push(before.elapsed());
            }
        }
    }
    Ok(asked)
}
