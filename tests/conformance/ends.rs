//! Ends of connections and of servers, and their reports.

use std::time::Duration;

use veltix::{
    Client, ClientConfig, ClientStatus, CloseReason, ConnectError, HandshakeError,
    HandshakeFailure, Message, Reconnect, RequestError, Router, ServerConfig, all,
};

use super::scene::{Scene, chat};
use super::transport::Transport;
use crate::support::{ECHO, OTHER};

/// Reports whether a transport may report this for an end that was not announced.
fn is_abrupt(reason: &CloseReason) -> bool {
    matches!(reason, CloseReason::PeerClosed | CloseReason::Io(_) | CloseReason::Tls(_))
}

pub(super) async fn a_peer_is_killed<T: Transport>(mut scene: Scene<T>) {
    let mut server = scene.serve(chat).await;
    let bystander = scene.client(Router::new()).await;
    server.next_peer().await;
    let mut raw = scene.raw().await;
    let peer = server.next_peer().await;
    let call = tokio::spawn(peer.request(&Message::empty(OTHER)));
    // The peer has received the call, and disconnects without an answer.
    raw.next().await.unwrap();
    drop(raw);
    assert!(matches!(call.await.unwrap(), Err(RequestError::ConnectionLost)));
    let end = server.next_end().await;
    assert!(is_abrupt(&end.reason), "{:?}", end.reason);
    assert_eq!(peer.closed().await, end);
    bystander.request(&Message::empty(ECHO)).await.unwrap();
    assert_eq!(server.hub.count(all()).unwrap(), 1);
}

pub(super) async fn the_server_is_killed<T: Transport>(mut scene: Scene<T>) {
    let stuck = std::future::pending::<()>;
    let server = scene.serve(|| Router::new().route(ECHO, stuck)).await;
    let client = scene.client(Router::new()).await;
    let call = tokio::spawn(client.request(&Message::empty(ECHO)));
    while client.peer().stats().sent.written < 2 {
        tokio::task::yield_now().await;
    }
    server.task.abort();
    assert!(matches!(call.await.unwrap(), Err(RequestError::ConnectionLost)));
    let end = client.peer().closed().await;
    assert!(is_abrupt(&end.reason), "{:?}", end.reason);
    let error = scene.transport.connect(ClientConfig::default(), Router::new()).await;
    assert!(matches!(error, Err(ConnectError::Unreachable { .. })), "{error:?}");
}

pub(super) async fn server_full<T: Transport>(mut scene: Scene<T>) {
    let config = ServerConfig::default().max_connections(1);
    let mut server = scene.serve_with(config, chat).await;
    let first = scene.client(Router::new()).await;
    let second = scene.transport.connect(ClientConfig::default(), Router::new()).await;
    let Err(error @ ConnectError::Handshake { .. }) = second else { panic!("{second:?}") };
    assert!(error.is_transient());
    let ConnectError::Handshake { source, .. } = error else { unreachable!() };
    assert_eq!(source, HandshakeError::ServerFull);
    assert_eq!(server.next_failure().await, HandshakeFailure::ServerFull);
    first.request(&Message::empty(ECHO)).await.unwrap();
}

pub(super) async fn reconnect_after_restart<T: Transport>(mut scene: Scene<T>) {
    let server = scene.serve(chat).await;
    let reconnect = Reconnect::fixed(Duration::from_millis(10));
    let config = ClientConfig::default().reconnect(reconnect);
    let client = scene.client_with(config, Router::new()).await;
    let mut status = client.status();
    let lost = |status: &ClientStatus| matches!(status, ClientStatus::Reconnecting { .. });
    for round in 0..2 {
        if round == 0 {
            server.hub.shutdown().await;
        }
        status.wait_for(lost).await.unwrap();
        let again = scene.serve(chat).await;
        status.wait_for(|status| *status == ClientStatus::Connected).await.unwrap();
        client.request(&Message::empty(ECHO)).await.unwrap();
        again.hub.shutdown().await;
    }
}

pub(super) async fn shutdown_with_report<T: Transport>(mut scene: Scene<T>) {
    let slow = |message: Message| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        message
    };
    let server = scene.serve(|| Router::new().route(ECHO, slow)).await;
    let clients: [Client; 3] =
        [scene.client(Router::new()).await, scene.client(Router::new()).await, {
            scene.client(Router::new()).await
        }];
    let calls: Vec<_> =
        clients.iter().map(|client| tokio::spawn(client.request(&Message::empty(ECHO)))).collect();
    let handling = || {
        let waiting = |peer: &veltix::Peer| peer.stats().received.waiting;
        server.hub.list(all()).unwrap().iter().map(waiting).sum::<u64>()
    };
    while handling() < 3 {
        tokio::task::yield_now().await;
    }
    let report = server.hub.shutdown().await;
    assert!(report.complete);
    // The answers, and the message that each client receives before.
    assert_eq!((report.connections, report.accepted, report.flushed), (3, 6, 6));
    assert_eq!((report.dropped, report.aborted_handlers), (0, 0));
    for call in calls {
        call.await.unwrap().expect("the handler finished, and its answer was written");
    }
    for client in &clients {
        assert_eq!(client.peer().closed().await.reason, CloseReason::PeerClosed);
    }
    server.task.await.unwrap();
}

pub(super) async fn the_accounts_agree<T: Transport>(mut scene: Scene<T>) {
    let mut server = scene.serve(chat).await;
    let client = scene.client(Router::new()).await;
    let peer = server.next_peer().await;
    for number in 0..300_u32 {
        let message = Message::from_text(ECHO, "x".repeat(number as usize * 7));
        client.send(&message).await.unwrap();
        peer.send(&Message::from_text(OTHER, "")).await.unwrap();
        if number % 10 == 0 {
            client.request(&message).await.unwrap();
        }
    }
    client.ping().await.unwrap();
    peer.ping().await.unwrap();
    let there = client.close().await;
    let here = server.next_end().await;
    assert_eq!((&there.reason, &here.reason), (&CloseReason::Closed, &CloseReason::PeerClosed));
    for end in [&there, &here] {
        let (sent, received) = (end.sent, end.received);
        assert_eq!(sent.accepted, sent.written + sent.dropped() + sent.queued, "{sent:?}");
        assert_eq!(sent.queued, 0);
        let known = received.handled + received.rejected + received.discarded() + received.waiting;
        assert_eq!((received.received, received.waiting), (known, 0), "{received:?}");
    }
    assert_eq!(
        here.received.received, there.sent.written,
        "the server decoded all written messages"
    );
    assert_eq!(there.received.received, here.sent.written, "and so did the client");
}
