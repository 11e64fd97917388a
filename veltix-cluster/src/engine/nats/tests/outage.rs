//! Servers that die, hang, and come back.

use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_killed_server_is_told_within_a_second() {
    let Some(mut server) = NatsServer::start(&[]).await else { return };
    let mut engine = Engine::connected(config(&server)).await;
    let start = Instant::now();
    server.kill();
    engine.is_disconnected().await;
    let after = start.elapsed();
    eprintln!("a killed server was noticed after {after:?}");
    assert!(after < Duration::from_secs(1), "{after:?}");
    server.restart().await;
    engine.is_connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "it takes seven seconds"]
async fn a_hung_server_is_told_within_seven_seconds() {
    let Some(server) = NatsServer::start(&[]).await else { return };
    let mut engine = Engine::connected(config(&server)).await;
    let start = Instant::now();
    server.freeze();
    engine.is_disconnected().await;
    let after = start.elapsed();
    eprintln!("a hung server was noticed after {after:?}");
    assert!(after < Duration::from_secs(7), "{after:?}");
    server.thaw();
    engine.is_connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_closed_engine_makes_no_further_attempt() {
    let Some(mut server) = NatsServer::start(&[]).await else { return };
    let mut engine = Engine::connected(config(&server)).await;
    server.kill();
    engine.is_disconnected().await;
    drop(engine);
    let socket = tokio::net::TcpListener::bind(("127.0.0.1", server.port())).await.expect("free");
    let mut attempts = 0;
    let count = async {
        while socket.accept().await.is_ok() {
            attempts += 1;
        }
    };
    let _ = timeout(Duration::from_secs(4), count).await;
    // One attempt may have begun. Without an end there is one each second.
    assert!(attempts <= 1, "{attempts}");
}

/// C7: a node uses another server of the NATS cluster if its own one dies, and no server that it was not told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it starts four servers and takes ten seconds"]
async fn c7_another_server_of_a_nats_cluster_is_used() {
    let Some(routes) = NatsServer::prepare(&[], "") else { return };
    // Three servers of one NATS cluster: the routes of all lead to the first one.
    let seed = routes.port();
    let mut servers = Vec::new();
    for number in 0..3 {
        let listen = if number == 0 {
            seed
        } else {
            NatsServer::prepare(&[], "").expect("it is there").port()
        };
        let config = format!(
            "cluster {{ name: c, listen: \"127.0.0.1:{listen}\", routes: [ \"nats://127.0.0.1:{seed}\" ] }}"
        );
        servers.push(NatsServer::configured(&config).await.expect("it is there"));
    }
    let urls: Vec<_> = servers.iter().map(NatsServer::url).collect();
    let mut engine = Engine::connected(NatsConfig::new(&urls.join(","), "test")).await;
    let port = engine.nats.client.server_info().port;
    let own = servers.iter().position(|server| server.port() == port).expect("one of them");
    let mut other = Engine::connected(config(&servers[(own + 1) % 3])).await;
    let mut lone = Engine::connected(config(&servers[own])).await;
    soon(async {
        // The servers need a moment to find each other.
        loop {
            engine.publish(Destination::Node(other.me), Bytes::from_static(b"x")).await;
            let heard = timeout(Duration::from_millis(50), other.next()).await;
            if matches!(heard, Ok(Heard::Received(_))) {
                break;
            }
        }
    })
    .await;
    let start = Instant::now();
    servers[own].kill();
    engine.is_disconnected().await;
    engine.is_connected().await;
    let after = start.elapsed();
    eprintln!("C7: connected again after {after:?}");
    assert!(after < Duration::from_secs(2), "{after:?}");
    let batch = engine.publish(Destination::All, Bytes::from_static(b"y")).await;
    while other.next().await != Heard::Received(batch.clone()) {}
    lone.is_disconnected().await;
    assert!(timeout(Duration::from_secs(4), lone.is_connected()).await.is_err());
}

/// C13: the nodes come back one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes half a minute"]
async fn c13_nodes_come_back_spread() {
    const NODES: usize = 20;
    let Some(mut server) = NatsServer::start(&[]).await else { return };
    let mut engines = Vec::new();
    for _ in 0..NODES {
        engines.push(Engine::connected(config(&server)).await);
    }
    let mut peaks = Vec::new();
    for down in [0, 0, 0, 3_000, 3_000] {
        server.kill();
        for engine in &mut engines {
            engine.is_disconnected().await;
        }
        tokio::time::sleep(Duration::from_millis(down)).await;
        server.restart().await;
        let start = Instant::now();
        let mut back = Vec::new();
        for engine in &mut engines {
            back.push(async {
                engine.is_connected().await;
                start.elapsed()
            });
        }
        let back = futures::future::join_all(back).await;
        let last = back.iter().max().expect("there are some");
        let in_slot = |slot| back.iter().filter(|at| at.as_millis() / 100 == slot).count();
        let peak = (0..=last.as_millis() / 100).map(in_slot).max().expect("there are some");
        eprintln!(
            "C13: down for {down} ms: a peak of {peak} of {NODES} in 100 ms, all after {last:?}"
        );
        assert!(*last < Duration::from_secs(4), "{last:?}");
        peaks.push(peak);
    }
    // Twenty random delays below one second: one round in twenty has a peak of seven.
    peaks.sort_unstable();
    assert!(peaks[peaks.len() / 2] * 10 <= 3 * NODES, "{peaks:?}");
}
