//! State that all listeners of a server share, and state that each has for itself.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;
use veltix::transport::{Tcp, memory};
use veltix::{
    Client, ClientConfig, Event, HandshakeFailure, Hub, Message, MessageStream, Router, Server,
    ServerConfig, all,
};

use crate::support::{ECHO, OTHER, PIPE, TempDir, bind_again, until};

/// A server on two ports, a Unix socket and memory, and a client at each.
struct Scene {
    hub: Hub,
    clients: Vec<Client>,
    streams: Vec<MessageStream>,
    running: tokio::task::JoinHandle<veltix::Result<()>>,
    _dir: TempDir,
}

async fn scene(config: ServerConfig) -> Scene {
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let (listener, connector) = memory(PIPE);
    let router = || Router::new().route(ECHO, |message: Message| message);
    let server = Server::bind(config.addr("127.0.0.1:0"), router()).await.unwrap();
    let server = server.also_listen(Tcp::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let server = server.also_listen(listener).unwrap();
    #[cfg(unix)]
    let server =
        server.also_listen(veltix::transport::UnixSocketListener::bind(&path).unwrap()).unwrap();
    let addrs = server.local_addrs();
    assert_eq!(addrs[0], *server.local_addr());
    assert_ne!(addrs[0], addrs[1]);
    let hub = server.hub();
    assert_eq!(hub.local_addrs(), addrs);
    let running = tokio::spawn(server.run());
    let (mut clients, mut streams) = (Vec::new(), Vec::new());
    let mut router = || {
        let (router, messages) = Router::new().messages();
        streams.push(messages);
        router
    };
    for addr in &addrs[..2] {
        let config = ClientConfig::default().addr(addr.to_string());
        clients.push(Client::connect(config, router()).await.unwrap());
    }
    let config = ClientConfig::default();
    clients.push(Client::connect_with(connector, config.clone(), router()).await.unwrap());
    #[cfg(unix)]
    clients.push(Client::connect_unix(path, config, router()).await.unwrap());
    for client in &clients {
        client.request(&Message::from_text(ECHO, "listed?")).await.expect("it answers");
    }
    Scene { hub, clients, streams, running, _dir: dir }
}

#[tokio::test]
async fn one_broadcast_and_one_shutdown_reach_the_peers_of_all_listeners() {
    let mut scene = scene(ServerConfig::default()).await;
    let mut streams = std::mem::take(&mut scene.streams);
    assert_eq!(streams.len(), scene.clients.len());
    let delivery = scene.hub.broadcast(&Message::from_text(OTHER, "to all")).unwrap();
    assert_eq!(delivery.queued, scene.clients.len());
    for message in join_all(streams.iter_mut().map(|stream| stream.next())).await {
        assert_eq!(message.expect("it comes").text().unwrap(), "to all");
    }
    for _ in 0..10 {
        scene.hub.broadcast(&Message::from_text(OTHER, "the last")).unwrap();
    }
    let report = scene.hub.shutdown().await;
    assert_eq!((report.connections, report.complete), (scene.clients.len() as u64, true));
    assert_eq!(report.queued + report.accepted, report.flushed + report.dropped);
    scene.running.await.unwrap().expect("it was shut down");
    for mut stream in streams {
        for _ in 0..10 {
            assert_eq!(stream.next().await.expect("it was written").text().unwrap(), "the last");
        }
    }
}

#[tokio::test]
async fn the_peers_of_all_listeners_count_toward_one_limit() {
    let count = if cfg!(unix) { 4 } else { 3 };
    let scene = scene(ServerConfig::default().max_connections(count)).await;
    let mut events = scene.hub.events();
    for addr in &scene.hub.local_addrs()[..2] {
        let config = ClientConfig::default().addr(addr.to_string());
        let error = Client::connect(config, Router::new()).await.expect_err("it is full");
        assert!(error.to_string().contains("the server is full"), "{error}");
        let full = |event| match event {
            Event::HandshakeFailed { reason, .. } => Some(reason),
            _ => None,
        };
        assert_eq!(until(&mut events, full).await, HandshakeFailure::ServerFull);
    }
    scene.clients[0].close().await;
    until(&mut events, |event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    let config = ClientConfig::default().addr(scene.hub.local_addrs()[1].to_string());
    Client::connect(config, Router::new()).await.expect("one place is free");
}

#[tokio::test]
async fn dropping_run_ends_the_peers_of_all_listeners_and_frees_the_addresses() {
    let scene = scene(ServerConfig::default()).await;
    let addrs = scene.hub.local_addrs();
    scene.running.abort();
    for client in &scene.clients {
        timeout(Duration::from_secs(60), client.peer().closed()).await.expect("it was aborted");
    }
    assert_eq!(scene.hub.count(all()), Ok(0));
    assert!(!scene.hub.shutdown().await.complete);
    for addr in &addrs[..2] {
        let config = ServerConfig::default().addr(addr.to_string());
        drop(bind_again(config, Router::new).await);
    }
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn each_listener_has_tls_of_its_own() {
    use veltix::transport::Listening;

    let (tls, client_tls) = crate::support::certificates::both_sides();
    let (listener, connector) = memory(PIPE);
    let config = ServerConfig::default().addr("127.0.0.1:0").tls(tls.clone());
    let server = Server::bind(config, Router::new()).await.unwrap();
    let server = server.also_listen(Tcp::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let also = Tcp::bind("127.0.0.1:0").await.unwrap().tls(tls.clone()).label("third");
    let server = server.also_listen(also).unwrap();
    let server = server.also_listen(Listening::new(listener).tls(tls)).unwrap();
    let addrs = server.local_addrs();
    tokio::spawn(server.run());
    let connect = |number: usize, has_tls: bool| {
        let config = ClientConfig::default().addr(addrs[number].to_string());
        let config = if has_tls { config.tls(client_tls.clone()) } else { config };
        Client::connect(config, Router::new())
    };
    for (number, has_tls) in [(0, true), (1, false), (2, true)] {
        let client = connect(number, has_tls).await.expect("both sides agree");
        assert_eq!(client.peer().tls().is_some(), has_tls);
        connect(number, !has_tls).await.expect_err("one side alone has TLS");
    }
    let config = ClientConfig::default().tls(client_tls);
    let client = Client::connect_with(connector, config, Router::new()).await;
    assert!(client.expect("it has TLS").peer().tls().is_some());
}
