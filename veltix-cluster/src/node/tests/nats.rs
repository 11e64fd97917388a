//! Over a real NATS server, which each test starts on a free port and ends by its id.

use std::net::TcpListener;

use super::*;
use crate::error::ConnectError;
use crate::nats_server::NatsServer;
use crate::{Nats, NatsConfig};

async fn three_nodes(server: &NatsServer) -> Vec<Running> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let nats = Nats::connect(&server.url(), "test").await.expect("it connects");
        nodes.push(serve_with(Joining::new(nats)));
    }
    for node in &nodes {
        node.sees(2).await;
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_of_one_node_arrive_in_order_and_once() {
    let Some(server) = NatsServer::start(&[]).await else { return };
    let nodes = three_nodes(&server).await;
    let mut readers = Vec::new();
    for node in &nodes {
        readers.push((node.client("lobby").await, node.client("hall").await));
    }
    const SENDS: usize = 5_000;
    for number in 0..SENDS {
        let text = Message::from_text(SAY, number.to_string());
        if number % 2 == 0 {
            nodes[0].hub.broadcast(&text).unwrap();
        } else {
            nodes[0].hub.to(tag("room").is("lobby")).send(&text).unwrap();
        }
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for (lobby, hall) in &mut readers {
        for number in 0..SENDS {
            assert_eq!(soon(lobby.heard.recv()).await, Some(number.to_string()));
            if number % 2 == 0 {
                assert_eq!(soon(hall.heard.recv()).await, Some(number.to_string()));
            }
        }
        assert!(lobby.heard.is_empty() && hall.heard.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_leaves_each_node_to_its_own_peers_until_it_is_back() {
    let Some(mut server) = NatsServer::start(&[]).await else { return };
    let nodes = three_nodes(&server).await;
    let (mut here, mut there) = (nodes[0].client("lobby").await, nodes[1].client("lobby").await);
    let send = |text: &str| nodes[0].hub.broadcast(&Message::from_text(SAY, text)).unwrap();
    send("before");
    assert_eq!(soon(there.heard.recv()).await.as_deref(), Some("before"));
    assert_eq!(soon(here.heard.recv()).await.as_deref(), Some("before"));
    server.kill();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(send("meanwhile").queued, 1);
    assert_eq!(soon(here.heard.recv()).await.as_deref(), Some("meanwhile"));
    server.restart().await;
    soon(async {
        while there.heard.is_empty() {
            send("again");
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for node in &nodes {
        node.sees(2).await;
    }
    for node in &nodes {
        soon(node.hub.shutdown()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_alone_if_its_optional_server_is_absent() {
    let Some(mut server) = NatsServer::prepare(&[], "") else { return };
    let nats = NatsConfig::new(&server.url(), "test").optional().connect().await;
    let node = serve_with(Joining::new(nats.expect("it starts alone")));
    let mut here = node.client("lobby").await;
    assert_eq!(node.hub.broadcast(&Message::from_text(SAY, "alone")).unwrap().queued, 1);
    assert_eq!(soon(here.heard.recv()).await.as_deref(), Some("alone"));
    server.restart().await;
    let other = serve_with(Joining::new(Nats::connect(&server.url(), "test").await.unwrap()));
    node.sees(1).await;
    other.sees(1).await;
    other.hub.broadcast(&Message::from_text(SAY, "together")).unwrap();
    assert_eq!(soon(here.heard.recv()).await.as_deref(), Some("together"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_cannot_work_is_an_error_at_once() {
    for name in ["", "Chat", "a.b", "a*", "a>", &"x".repeat(33)] {
        let error = Nats::connect("nats://127.0.0.1:4222", name).await.unwrap_err();
        assert!(matches!(error, ConnectError::Name { .. }), "{name}: {error}");
    }
    let error = Nats::connect("nats://192.0.2.1:4222", "test").await.unwrap_err();
    assert!(matches!(error, ConnectError::Plaintext), "{error}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Nats::connect(&format!("nats://{closed}"), "test").await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error}");
    let Some(server) = NatsServer::start(&["--user", "a", "--pass", "b"]).await else { return };
    let config = NatsConfig::new(&server.url(), "test");
    let error = config.clone().connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused), "{error}");
    let error = config.clone().user_and_password("a", "wrong").connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused), "{error}");
    config.user_and_password("a", "b").connect().await.expect("it connects");
}
