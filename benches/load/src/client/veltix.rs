//! Our client, through its public API, on two workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::task::JoinSet;
use veltix::{Client, ClientConfig, Message, MessageType, RequestError, Router};

use super::{Load, Rate};

const ECHO: MessageType = MessageType::new(200, "echo", "Sent back as it is");

/// Of how many requests one is timed: the clock costs a few percent of a fast one.
const TIMED: u64 = 16;

/// Requests after which a task ends before its time is over.
const MOST: u64 = 100_000_000;

pub(super) fn run(load: Load) -> Result<Rate> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async move { tokio::spawn(measure(load)).await? })
}

async fn measure(load: Load) -> Result<Rate> {
    let mut clients = Vec::new();
    for _ in 0..load.connections {
        let config = ClientConfig::default().addr(load.addr.to_string());
        clients.push(Client::connect(config, Router::new()).await?);
    }
    let body = Bytes::from(vec![b'x'; 64]);
    let start = Instant::now() + load.warm_up();
    let mut tasks = JoinSet::new();
    for client in clients {
        let client = Arc::new(client);
        for _ in 0..load.tasks {
            let task = Task { client: Arc::clone(&client), body: body.clone() };
            tasks.spawn(task.ask(start, load.lasts()));
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
    let median = times.get(times.len() / 2).context("nothing was answered in time")?;
    Ok(Rate { rate, p50_us: median.as_nanos() as f64 / 1e3 })
}

struct Task {
    client: Arc<Client>,
    body: Bytes,
}

/// What a task did.
#[derive(Default)]
struct Asked {
    answered: u64,
    times: Vec<Duration>,
}

impl Task {
    /// One request after the other, counted from the start on.
    async fn ask(self, start: Instant, lasts: Duration) -> Result<Asked, RequestError> {
        let end = start + lasts;
        let mut asked = Asked::default();
        for request in 0..MOST {
            let before = Instant::now();
            if before >= end {
                break;
            }
            self.client.request(&Message::new(ECHO, self.body.clone())).await?;
            if before >= start {
                asked.answered += 1;
                if request % TIMED == 0 {
                    asked.times.push(before.elapsed());
                }
            }
        }
        Ok(asked)
    }
}
