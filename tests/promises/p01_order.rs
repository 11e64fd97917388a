//! Promise 1: per connection and direction, messages arrive in order, none twice and none damaged.
//! Delivery is at most once: a message that a lost connection has not delivered is not delivered by
//! the next connection.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, yield_now};
use veltix::{
    ClientConfig, ClientStatus, Hub, Message, Peer, Reconnect, Router, SendError, ServerConfig,
};

use super::{body, check, number, numbered, numbers, paused};
use crate::support::{ECHO, OTHER, PYTHON, RawServer, World};

const MESSAGES: u32 = 200;

/// Creates a router that echoes `ECHO` and records `OTHER`. Some handlers wait, most do not.
fn router(record: UnboundedSender<Bytes>) -> Router {
    let echo = |body: Bytes| async move {
        if number(&body).is_multiple_of(3) {
            yield_now().await;
        }
        body
    };
    let record = move |body: Bytes| {
        let record = record.clone();
        async move {
            if number(&body) % 7 < 2 {
                yield_now().await;
            }
            record.send(body).expect("the test listens");
        }
    };
    Router::new().route(ECHO, echo).route(OTHER, record)
}

/// Sends numbered messages, with a call after every fourth.
async fn talk(hub: Option<Hub>, peer: Peer, longest: usize) {
    for n in 0..MESSAGES {
        let message = Message::new(OTHER, body(n, longest));
        match &hub {
            Some(hub) if n % 2 == 0 => {
                let delivery = hub.broadcast(&message).expect("it is encoded");
                assert_eq!(delivery.queued, 1);
            }
            _ => peer.send(&message).await.expect("it is connected"),
        }
        if n % 4 == 0 {
            let asked = body(n, longest);
            let answer = peer.request(&Message::new(ECHO, asked.clone())).await;
            assert_eq!(answer.expect("an answer").body(), &asked);
        }
    }
}

async fn check_all(mut got: UnboundedReceiver<Bytes>, longest: usize) {
    for n in 0..MESSAGES {
        assert_eq!(got.recv().await, Some(body(n, longest)));
    }
    assert!(got.is_empty());
}

#[test]
pub(crate) fn both_directions_keep_their_order_through_pipes_of_any_size() {
    for (pipe, longest) in [(7, 60), (64, 300), (4096, 10_000)] {
        paused(async {
            let (to_server, at_server) = unbounded_channel();
            let (to_client, at_client) = unbounded_channel();
            let world = World::with(ServerConfig::default(), pipe, router(to_server));
            let client = world.client(router(to_client)).await;
            let down = talk(Some(world.hub.clone()), world.newest(), longest);
            let up = talk(None, client.peer(), longest);
            tokio::join!(down, up, check_all(at_server, longest), check_all(at_client, longest));
        });
    }
}

#[test]
pub(crate) fn sends_broadcasts_and_replies_share_one_order() {
    paused(async {
        let handler = |hub: Hub, peer: Peer, asked: Bytes| async move {
            let n = 3 * number(&asked);
            peer.try_send(&numbered(OTHER, n)).expect("room");
            if n.is_multiple_of(2) {
                yield_now().await;
            }
            hub.broadcast(&numbered(OTHER, n + 1)).expect("it is encoded");
            numbered(ECHO, n + 2)
        };
        let world = World::with(ServerConfig::default(), 64, Router::new().route(ECHO, handler));
        let mut raw = world.raw().await;
        for n in 0..100 {
            raw.send(ECHO.code(), n, body(n.into(), 4)).await.expect("the server reads");
        }
        raw.end();
        assert_eq!(numbers(&raw.all().await), (0..300).collect::<Vec<_>>());
    });
}

#[test]
pub(crate) fn every_peer_sees_the_order_of_each_broadcaster() {
    paused(async {
        const EACH: u32 = 100;
        let world = World::with(ServerConfig::default(), 300, Router::new());
        let mut readers = JoinSet::new();
        for _ in 0..5 {
            let mut raw = world.raw().await;
            readers.spawn(async move { numbers(&raw.all().await) });
        }
        let mut broadcasters = JoinSet::new();
        for first in [0, EACH, 2 * EACH] {
            let hub = world.hub.clone();
            broadcasters.spawn(async move {
                for n in first..first + EACH {
                    hub.broadcast(&numbered(OTHER, n)).expect("it is encoded");
                    yield_now().await;
                }
            });
        }
        broadcasters.join_all().await;
        world.hub.shutdown().await;
        for seen in readers.join_all().await {
            assert_eq!(seen.len(), 3 * EACH as usize);
            for first in [0, EACH, 2 * EACH] {
                let of_one = seen.iter().copied().filter(|n| (first..first + EACH).contains(n));
                assert!(of_one.eq(first..first + EACH), "{seen:?}");
            }
        }
    });
}

#[test]
pub(crate) fn a_reconnect_is_a_new_stream() {
    paused(async {
        let mut server = RawServer::new(64);
        let reconnect = Reconnect::fixed(Duration::from_secs(1));
        let config = ClientConfig::default().reconnect(reconnect);
        let (client, mut raw) = server.client(config, Router::new()).await;
        let lost = client.peer();
        for n in 0..10 {
            client.try_send(&numbered(OTHER, n)).expect("room");
        }
        assert_eq!(number(raw.next().await.expect("a message").body()), 0);
        drop(raw);
        let outcome = lost.closed().await;
        assert_eq!((outcome.sent.accepted, outcome.sent.queued), (10, 0));
        assert!(outcome.undelivered > 0);

        let mut raw = server.accept().await;
        raw.welcome(PYTHON).await.expect("the handshake works");
        let connected = |status: &ClientStatus| *status == ClientStatus::Connected;
        client.status().wait_for(connected).await.expect("the client lives");
        client.try_send(&numbered(OTHER, 10)).expect("room");
        assert!(matches!(lost.try_send(&numbered(OTHER, 11)), Err(SendError::Closed)));
        check(lost.stats().sent, lost.stats().received);
        drop(client);
        assert_eq!(numbers(&raw.all().await), [10], "no message of the old stream arrives");
    });
}
