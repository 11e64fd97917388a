//! R20: hundreds of clients lose their server at the same time, and do not reconnect at the same
//! time.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use veltix::transport::{Connector, MemoryConnector, Stream, memory};
use veltix::{Client, ClientConfig, Event, EventStream, Reconnect, Router, Server, ServerConfig};

use crate::interop::examples::chat_server;
use crate::support::alone::{Alone, alone, measured};
use crate::support::{PATIENCE, PIPE, until};

const CLIENTS: usize = 500;

/// The maximum number of them in any tenth of a second, and the time limit for all of them.
const PEAK: usize = CLIENTS / 5;
const ALL: Duration = Duration::from_secs(15);

/// A client and its events.
struct One {
    client: Client,
    events: EventStream,
}

impl From<Client> for One {
    fn from(client: Client) -> Self {
        Self { events: client.events(), client }
    }
}

/// Waits until all clients have reconnected. Returns the time of each reconnect, in order.
async fn come_back(crowd: &mut Vec<One>) -> Vec<Instant> {
    let mut coming = JoinSet::new();
    for mut one in crowd.drain(..) {
        coming.spawn(async move {
            let came = |event| match event {
                Event::Reconnected { .. } => Some(Instant::now()),
                Event::GaveUp { .. } => panic!("it gave up"),
                _ => None,
            };
            (until(&mut one.events, came).await, one)
        });
    }
    let back = timeout(PATIENCE, coming.join_all()).await.expect("all of them come back");
    let (mut came, back): (Vec<_>, Vec<_>) = back.into_iter().unzip();
    crowd.extend(back);
    assert!(crowd.iter().all(|one| one.client.is_connected()));
    came.sort_unstable();
    came
}

/// Returns the maximum number of reconnects within a tenth of a second.
fn peak(came: &[Instant]) -> usize {
    let mut peak = 0;
    for (first, begin) in came.iter().enumerate() {
        let until = *begin + Duration::from_millis(100);
        peak = peak.max(came.partition_point(|time| *time <= until) - first);
    }
    peak
}

/// A connector to the newest server.
#[derive(Clone)]
struct Newest(Arc<Mutex<MemoryConnector>>);

impl Newest {
    /// Starts a server that runs until the returned guard is dropped.
    fn serve(&self) -> (veltix::Hub, JoinSet<()>) {
        let (listener, connector) = memory(PIPE);
        *self.0.lock().unwrap() = connector;
        let server = Server::with_listener(listener, ServerConfig::default(), Router::new());
        let server = server.expect("the config works");
        let hub = server.hub();
        let mut running = JoinSet::new();
        running.spawn(async move { server.run().await.expect("it runs") });
        (hub, running)
    }
}

impl Connector for Newest {
    async fn connect(&self) -> io::Result<Stream> {
        let connector = self.0.lock().unwrap().clone();
        connector.connect().await
    }

    fn target(&self) -> String {
        "memory".to_owned()
    }
}

/// Connects all clients to a new server.
async fn crowd(newest: &Newest) -> Vec<One> {
    let mut crowd = Vec::new();
    for _ in 0..CLIENTS {
        let config = ClientConfig::default().reconnect(Reconnect::backoff());
        let client = Client::connect_with(newest.clone(), config, Router::new()).await;
        crowd.push(client.expect("the server listens").into());
    }
    crowd
}

fn newest() -> Newest {
    Newest(Arc::new(Mutex::new(memory(PIPE).1)))
}

#[tokio::test(start_paused = true)]
async fn r20_after_a_crash_clients_come_back_spread_however_long_it_was_down() {
    let newest = newest();
    // After one second some clients have failed four times, and are in a window of 16 s or more:
    // the last of them reconnect up to that much later.
    let longest = Duration::from_secs(31);
    for (down, all) in [(0, ALL), (200, ALL), (1_000, longest), (3_000, longest), (7_000, longest)]
    {
        let (_, mut running) = newest.serve();
        let mut crowd = crowd(&newest).await;
        // This is long enough for their windows to start again.
        sleep(Duration::from_secs(11)).await;
        running.shutdown().await;
        sleep(Duration::from_millis(down)).await;
        let up = Instant::now();
        let (_hub, _running) = newest.serve();
        let came = come_back(&mut crowd).await;
        assert_eq!(came.len(), CLIENTS);
        assert!(peak(&came) <= PEAK, "down for {down} ms: {} in 100 ms", peak(&came));
        let took = *came.last().unwrap() - up;
        assert!(took <= all, "down for {down} ms: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r20_after_a_shutdown_they_keep_to_the_time_that_they_were_told() {
    let newest = newest();
    let (hub, mut running) = newest.serve();
    let mut crowd = crowd(&newest).await;
    let start = Instant::now();
    let report = hub.shutdown().await;
    assert_eq!((report.flushed, report.dropped), (CLIENTS as u64, 0), "each was notified");
    running.join_next().await.expect("it runs").expect("no panic");
    let (_hub, _running) = newest.serve();
    let came = come_back(&mut crowd).await;
    let peak = peak(&came);
    // A window of 5 s: ten per interval on average. A window of one second would have fifty.
    assert!(peak <= 35, "{peak} in 100 ms");
    let took = *came.last().unwrap() - start;
    assert!((4..=6).contains(&took.as_secs()), "{took:?}");
}

/// Connects all clients to the server of the example.
async fn chatters(port: u16) -> Vec<One> {
    let mut crowd = Vec::new();
    for _ in 0..CLIENTS {
        let config = ClientConfig::default().addr(format!("127.0.0.1:{port}"));
        let config = config.reconnect(Reconnect::backoff());
        let client = Client::connect(config, Router::new()).await;
        crowd.push(client.expect("the server listens").into());
    }
    crowd
}

/// Starts a server with its defaults in a process of its own. The process is killed; the next one
/// is terminated.
#[test]
fn r20_a_server_that_starts_again_is_not_stormed() {
    alone!(Alone::within(Duration::from_secs(120)), async {
        // A busy machine may exceed the time. All clients must reconnect in each try.
        const TRIES: usize = 3;
        let (mut server, port) = chat_server(0).await;
        let mut crowd = chatters(port).await;
        for kills in [true, false] {
            let mut peaks = Vec::new();
            while peaks.last().is_none_or(|peak| *peak > PEAK) {
                assert!(peaks.len() < TRIES, "{peaks:?} in 100 ms");
                if kills {
                    server.kill().await;
                } else {
                    server.terminate().await;
                    assert!(server.ended().await.success());
                }
                let up = Instant::now();
                server = chat_server(port).await.0;
                let came = come_back(&mut crowd).await;
                let took = *came.last().unwrap() - up;
                assert!(took <= ALL, "{took:?}");
                peaks.push(peak(&came));
                let how = if kills { "killed" } else { "drained" };
                let peak = peak(&came) * 100 / CLIENTS;
                measured(
                    20,
                    format!("{how}: peak {peak} % in 100 ms, all {CLIENTS} after {took:.1?}"),
                );
            }
        }
    });
}
