//! Promise 11: a client owns its connection. Its last handle flushes and closes the connection when
//! it is dropped. `Peer` and `Hub` keep no connection open. Dropping the future of `run` ends every
//! connection.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep, timeout};
use tower::layer::util::Identity;
use veltix::handler::Handler;
use veltix::transport::memory;
use veltix::{
    Client, ClientConfig, CloseReason, Event, EventStream, Hub, MessageType, PING, Peer, Router,
    SendError, Server, ServerConfig, SocketCore, all,
};

use super::{Drops, check, numbered, numbers, paused};
use crate::support::{ECHO, OTHER, PIPE, PYTHON, RawServer, World, quiet, until};

#[test]
pub(crate) fn the_last_handle_of_a_client_writes_what_is_queued_and_closes() {
    paused(async {
        let mut server = RawServer::new(100);
        let (client, mut raw) = server.client(ClientConfig::default(), Router::new()).await;
        for n in 0..50 {
            client.try_send(&numbered(OTHER, n)).expect("room");
        }
        let peer = client.peer();
        let clone = client.clone();
        drop(client);
        quiet().await;
        assert!(clone.is_connected() && !peer.is_closed(), "one handle is left");
        clone.try_send(&numbered(OTHER, 50)).expect("room");
        drop(clone);
        assert!(numbers(&raw.all().await).into_iter().eq(0..=50));
        let outcome = peer.closed().await;
        assert_eq!((outcome.reason, outcome.undelivered), (CloseReason::Closed, 0));
    });
}

#[test]
pub(crate) fn a_dropped_client_waits_for_its_server_a_second_at_most() {
    paused(async {
        let mut server = RawServer::new(100);
        let (client, mut raw) = server.client(ClientConfig::default(), Router::new()).await;
        for n in 0..50 {
            client.try_send(&numbered(OTHER, n)).expect("room");
        }
        quiet().await;
        let (peer, start) = (client.peer(), Instant::now());
        drop(client);
        let outcome = peer.closed().await;
        assert_eq!(start.elapsed().as_secs(), 1);
        check(outcome.sent, outcome.received);
        assert_eq!((outcome.sent.written, outcome.undelivered), (5, 45));
        assert_eq!(numbers(&raw.all().await), [0, 1, 2, 3, 4]);
    });
}

#[test]
pub(crate) fn a_dropped_client_cancels_its_handlers() {
    paused(async {
        let drops = Drops::default();
        let mut server = RawServer::new(PIPE);
        let router = Router::new().route(ECHO, drops.stuck());
        let (client, mut raw) = server.client(ClientConfig::default(), router).await;
        raw.send(ECHO.code(), 0, "").await.expect("the client reads");
        quiet().await;
        let start = Instant::now();
        drop(client);
        assert!(raw.all().await.is_empty());
        assert_eq!((drops.count(), start.elapsed()), (1, Duration::ZERO));
    });
}

#[test]
pub(crate) fn a_client_that_gives_up_connecting_leaves_nothing_behind() {
    paused(async {
        let mut server = RawServer::new(PIPE);
        let config = ClientConfig::default();
        let stuck = Router::new().on_connect(std::future::pending::<()>);
        let connecting = Client::connect_with(server.connector.clone(), config, stuck);
        let connecting = tokio::spawn(connecting);
        let mut raw = server.accept().await;
        raw.welcome(PYTHON).await.expect("the handshake works");
        quiet().await;
        let start = Instant::now();
        connecting.abort();
        assert!(raw.all().await.is_empty());
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

#[test]
pub(crate) fn a_peer_does_not_keep_its_connection_alive() {
    paused(async {
        let mut server = RawServer::new(PIPE);
        let (client, mut raw) = server.client(ClientConfig::default(), Router::new()).await;
        let peer = client.peer();
        let (closing, sending) = (peer.closed(), peer.send(&numbered(OTHER, 0)));
        drop(client);
        assert!(raw.all().await.is_empty(), "the stream ends although handles exist");
        assert_eq!(closing.await.reason, CloseReason::Closed);
        assert!(matches!(sending.await, Err(SendError::Closed)));

        let world = World::new(Router::new());
        let (mut raw, peer) = world.join().await;
        raw.end();
        assert!(raw.all().await.is_empty());
        assert!(matches!(peer.try_send(&numbered(OTHER, 0)), Err(SendError::Closed)));
        assert!(peer.add_tag("late").is_err());
        assert_eq!(world.hub.get(peer.id()), None);
    });
}

#[test]
pub(crate) fn a_hub_keeps_nothing_alive() {
    paused(async {
        let (listener, connector) = memory(PIPE);
        let config = ServerConfig::default();
        let server = Server::with_listener(listener, config, Router::new()).expect("it works");
        let hub = server.hub();
        drop(server);
        assert!(connector.stream().await.is_err(), "no server listens although a hub exists");
        assert_eq!(hub.count(all()), Ok(0));
        assert_eq!(hub.broadcast(&numbered(OTHER, 0)).expect("it is encoded").matched, 0);
        assert_eq!(
            hub.shutdown().await.connections,
            0,
            "the report does not wait for an ended server"
        );
    });
}

/// The router's state is dropped with its server and its last connection, although handles are left
/// and the state itself holds one of them.
#[test]
pub(crate) fn no_handle_keeps_the_state_of_a_router_alive() {
    const THIRD: MessageType = MessageType::new(299, "third", "");
    paused(async {
        let drops = Drops::default();
        let guard = || {
            let guard = Arc::new(drops.guard());
            move |hub: Hub| drop((Arc::clone(&guard), hub))
        };
        let hub_within = Arc::new(OnceLock::<Hub>::new());
        let held = Arc::clone(&hub_within);
        let keeps_hub = (Arc::new(drops.guard()), Arc::clone(&hub_within));
        let router = Router::new()
            .route(ECHO, guard())
            .route_blocking(OTHER, guard())
            .route(THIRD, guard().layer(Identity::new()))
            .on_connect(move || drop(keeps_hub.clone()))
            .on_disconnect(guard());
        let world = World::with(ServerConfig::default(), PIPE, router);
        held.set(world.hub.clone()).expect("it is set once");
        drop((held, hub_within));
        let (mut raw, peer) = world.join().await;
        for code in [ECHO, OTHER, THIRD] {
            raw.send(code.code(), 0, "").await.expect("the server reads");
        }
        while peer.stats().received.handled < 3 {
            sleep(Duration::from_millis(1)).await;
        }
        let (closed, events, watch) =
            (peer.closed(), world.hub.events(), world.hub.watch(all()).start());
        assert_eq!(drops.count(), 0);
        world.hub.shutdown().await;
        drop(raw);
        quiet().await;
        assert_eq!(
            drops.count(),
            5,
            "handles are left: {:?}",
            (peer, closed, events, watch.is_ok())
        );
    });
}

#[test]
pub(crate) fn dropping_the_future_of_run_ends_every_connection_at_once() {
    paused(async {
        let drops = Drops::default();
        let (left, mut leaves) = unbounded_channel();
        let router = Router::new().route(ECHO, drops.stuck()).on_disconnect(move || left.send(()));
        let world = World::with(ServerConfig::default(), 150, router);
        let mut silent = world.silent().await;
        let mut peers = Vec::new();
        for _ in 0..10 {
            let (mut raw, peer) = world.join().await;
            raw.send(ECHO.code(), 0, "").await.expect("the server reads");
            for n in 0..50 {
                peer.try_send(&numbered(OTHER, n)).expect("room");
            }
            peers.push((raw, peer));
        }
        quiet().await;
        let start = Instant::now();
        world.abort();
        for (raw, peer) in &mut peers {
            let outcome = peer.closed().await;
            assert_eq!(outcome.reason, CloseReason::Aborted);
            check(outcome.sent, outcome.received);
            assert_eq!(outcome.received.discarded_closed, 1);
            assert_eq!(raw.all().await.len() as u64, outcome.sent.written);
            assert!(matches!(peer.try_send(&numbered(OTHER, 0)), Err(SendError::Closed)));
        }
        silent.hear().await.expect("the server's hello");
        assert!(silent.hear().await.is_err(), "a pending handshake ends as well");
        assert_eq!((drops.count(), start.elapsed()), (10, Duration::ZERO));
        assert_eq!(world.hub.count(all()), Ok(0));
        assert!(world.connector.stream().await.is_err());
        sleep(Duration::from_secs(60)).await;
        assert!(leaves.try_recv().is_err(), "on_disconnect does not run after an abort");
    });
}

/// Connections with a thread of their own also end with the future. Threads do not use the paused
/// clock.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_future_of_run_ends_connections_with_threads() {
    let config = ServerConfig::default().socket_core(SocketCore::Threading);
    let world = World::with(config, PIPE, Router::new());
    let mut events = world.hub.events();
    let mut raw = world.raw().await;
    let connected = |event| match event {
        Event::Connected { peer } => Some(peer),
        _ => None,
    };
    let peer = until(&mut events, connected).await;
    raw.send(PING.code(), 0, "").await.expect("the server reads");
    raw.next().await.expect("a pong");
    world.abort();
    assert_eq!(peer.closed().await.reason, CloseReason::Aborted);
    assert!(raw.all().await.is_empty());
}

/// Returns the names of all events until the stream ends, while handles of all kinds are held.
async fn until_the_end(mut events: EventStream) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = timeout(Duration::from_secs(60), events.next()).await.expect("an end") {
        let event = format!("{event:?}");
        told.push(event.split([' ', '(']).next().unwrap_or_default().to_owned());
    }
    told
}

#[test]
pub(crate) fn streams_of_events_end_with_the_server_whoever_holds_a_hub() {
    paused(async {
        for aborted in [false, true] {
            let world = World::new(Router::new());
            let (hub, events) = (world.hub.clone(), world.hub.events());
            let (_first, _second) = (world.raw().await, world.raw().await);
            quiet().await;
            let peers = hub.list(all()).unwrap();
            if aborted {
                world.abort();
            } else {
                hub.shutdown().await;
            }
            let mut expected = vec!["Connected"; 2];
            expected.extend(if aborted { None } else { Some("Draining") });
            expected.extend(["Disconnected"; 2]);
            assert_eq!(until_the_end(events).await, expected);
            assert!(until_the_end(hub.events()).await.is_empty(), "no more events are emitted");
            assert!(peers.iter().all(Peer::is_closed));
        }
    });
}

#[test]
pub(crate) fn a_stream_of_events_ends_with_its_client_whoever_holds_it() {
    paused(async {
        let mut server = RawServer::new(PIPE);
        let (client, _raw) = server.client(ClientConfig::default(), Router::new()).await;
        let events = client.events();
        client.close().await;
        assert_eq!(until_the_end(events).await, ["Disconnected"]);
    });
}

#[test]
pub(crate) fn a_client_that_lost_its_connection_may_still_have_something_to_tell() {
    paused(async {
        let mut server = RawServer::new(PIPE);
        let (client, raw) = server.client(ClientConfig::default(), Router::new()).await;
        let mut events = client.events();
        drop(raw);
        until(&mut events, |event| matches!(event, Event::GaveUp { .. }).then_some(())).await;
        let next = timeout(Duration::from_secs(60), events.next()).await;
        assert!(next.is_err(), "{next:?}");
        drop(client);
        assert!(until_the_end(events).await.is_empty());
    });
}
