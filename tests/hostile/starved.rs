//! R16: no descriptor is left for new connections.

use std::process::Command;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep, timeout};
use veltix::{Router, ServerConfig, all};

use super::Log;
use super::honest::{serve, shake_hands};
use crate::support::alone::{self, Alone, alone, measured};

/// Sets the limit of descriptors of this process.
fn limit(descriptors: usize) {
    let process = std::process::id().to_string();
    let limit = format!("--nofile={descriptors}:{descriptors}");
    let done = Command::new("prlimit").args(["--pid", &process, &limit]).status();
    assert!(done.unwrap().success());
}

#[test]
fn r16_without_descriptors_a_server_waits_and_recovers() {
    const PEERS: usize = 40;
    const SERVED: usize = 10;
    alone!(Alone::within(Duration::from_secs(60)).needs("prlimit"), async {
        let log = Log::everywhere();
        let config = ServerConfig::default().max_connections(1_000);
        let (hub, addr) = serve(config, Router::new()).await;
        assert_eq!(hub.spare_connections(), 1_000);
        // The clients are in this process too, so their descriptors come first.
        let sockets: Vec<_> = (0..PEERS).map(|_| TcpSocket::new_v4().unwrap()).collect();
        alone::cpu();
        limit(alone::descriptors() + SERVED);
        let mut streams = Vec::new();
        for socket in sockets {
            // The kernel accepts connections that the server cannot accept yet.
            streams.push(socket.connect(addr).await.unwrap().into_std().unwrap());
        }
        for stream in &streams {
            stream.set_nonblocking(false).unwrap();
        }
        for stream in &streams[..SERVED - 1] {
            shake_hands(stream).unwrap();
        }
        let (cpu, begun) = (alone::cpu(), Instant::now());
        sleep(Duration::from_secs(3)).await;
        let share = (alone::cpu() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
        let lines = log.lines("could not be accepted").len();
        let spare = hub.spare_connections();
        // Some peers leave, and the connection that has waited longest is served.
        let last = streams.pop().unwrap();
        let begun = Instant::now();
        streams.truncate(1);
        let served = tokio::task::spawn_blocking(move || shake_hands(&last).map(|()| last));
        let served = timeout(Duration::from_secs(20), served).await;
        let took = begun.elapsed();
        let _served = served.expect("it is served").unwrap().unwrap();
        measured(
            16,
            format_args!(
                "{:.1} % of a core, {lines} lines, served after {took:.2?}",
                100.0 * share
            ),
        );
        assert!(share <= 0.05, "{share}");
        assert!((1..=10).contains(&lines), "{lines}");
        assert_eq!(spare, 0, "its descriptors run out before its own limit");
        assert!(took <= Duration::from_millis(1_500), "{took:?}");
        while hub.count(all()) != Ok(2) {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(hub.spare_connections(), 998);
    });
}
