//! `Client::restore`: messages that a client sends on each later connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use veltix::client::RestoreError;
use veltix::limits::RESTORED_BYTES;
use veltix::testing::TestServer;
use veltix::{
    ClientConfig, ClientHandle, EncodeError, Message, Peer, Reconnect, Router, Text, tag,
};

use super::{accept, break_and_accept, config, connected, seconds};
use crate::support::{ECHO, OTHER, PIPE, PYTHON, RawPeer, RawServer};

fn join(room: &str) -> Message {
    Message::from_text(OTHER, room)
}

/// Returns the texts of the next messages.
async fn texts<const N: usize>(raw: &mut RawPeer) -> [String; N] {
    let mut texts = Vec::new();
    while texts.len() < N {
        let message = raw.next().await.expect("the client sends");
        assert_eq!(message.id().value(), 0, "it is no call");
        texts.push(message.text().expect("text").to_owned());
    }
    texts.try_into().unwrap_or_else(|_| unreachable!("there are N"))
}

#[tokio::test(start_paused = true)]
async fn they_come_after_on_connect_in_order_and_before_anything_later() {
    let mut server = RawServer::new(PIPE);
    let hello = async |peer: Peer| peer.send(&Message::from_text(ECHO, "hello")).await;
    let router = Router::new().on_connect(hello);
    let (client, mut raw) = server.client(config(Reconnect::fixed(seconds(1))), router).await;
    for room in ["a", "b", "c", "d"] {
        client.restore(room, &join(room)).unwrap();
    }
    client.restore("b", &join("b2")).unwrap();
    assert!(client.handle().forget("c") && !client.forget("c"));
    client.send(&join("later")).await.unwrap();
    assert_eq!(texts(&mut raw).await, ["hello", "later"], "nothing is sent at once");
    for _ in 0..3 {
        raw = break_and_accept(&mut server, raw).await;
        // Another task waits for the connection, and sends at once.
        let peer = client.connected().await.expect("it reconnects");
        peer.try_send(&join("later")).unwrap();
        assert_eq!(texts(&mut raw).await, ["hello", "a", "b2", "d", "later"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_gets_none() {
    let mut server = RawServer::new(PIPE);
    let calls = AtomicUsize::new(0);
    let calls = Arc::new(calls);
    let router = Router::new().on_connect(move |client: ClientHandle| {
        match calls.fetch_add(1, Ordering::Relaxed) {
            // A registration in `on_connect` holds for this connection, too.
            0 => client.restore("room", &join("lobby")).map_err(veltix::Error::from),
            1 => Err(std::io::Error::other("not now").into()),
            _ => Ok(()),
        }
    });
    let (client, mut raw) = server.client(config(Reconnect::fixed(seconds(1))), router).await;
    assert_eq!(texts(&mut raw).await, ["lobby"]);
    let mut raw = break_and_accept(&mut server, raw).await;
    assert!(raw.rest().await.is_empty());
    let mut raw = accept(&mut server).await;
    raw.welcome(PYTHON).await.unwrap();
    assert_eq!(texts(&mut raw).await, ["lobby"]);
    connected(&client).await;
}

/// The limits are those of the list, and an outbox that is smaller does not matter.
#[tokio::test(start_paused = true)]
async fn they_are_bounded_and_fit_a_small_outbox() {
    let mut server = RawServer::new(PIPE);
    let small = config(Reconnect::fixed(seconds(1))).max_message_size(100_000).outbox(2, 100_000);
    let (client, raw) = server.client(small, Router::new()).await;
    let large = Message::new(OTHER, vec![b'x'; 90_000]);
    let fit = RESTORED_BYTES / 91_000;
    for key in 0..fit {
        client.restore(key.to_string(), &large).unwrap();
    }
    let full = client.restore("one more", &large);
    assert!(matches!(full, Err(RestoreError::Full { bytes: RESTORED_BYTES, .. })), "{full:?}");
    let too_large = client.restore("0", &Message::new(OTHER, vec![0; 100_000]));
    let Err(RestoreError::Encode(EncodeError::TooLarge { .. })) = too_large else {
        panic!("{too_large:?}")
    };
    let mut raw = break_and_accept(&mut server, raw).await;
    for _ in 0..fit {
        assert_eq!(raw.next().await.unwrap().body(), large.body());
    }
    connected(&client).await;
}

/// The server may come back with a smaller limit.
#[tokio::test(start_paused = true)]
async fn one_over_the_limit_of_the_next_server_is_left_out() {
    const SMALL: &str =
        r#"{"v": "0.1.0", "pv": "1.0", "meta": {"veltix": {"max_message_size": 1000}}}"#;
    let mut server = RawServer::new(PIPE);
    let policy = config(Reconnect::fixed(seconds(1)));
    let (client, raw) = server.client(policy, Router::new()).await;
    client.restore("large", &join(&"x".repeat(1_000))).unwrap();
    client.restore("small", &join("lobby")).unwrap();
    drop(raw);
    let mut raw = accept(&mut server).await;
    raw.welcome(SMALL).await.unwrap();
    assert_eq!(texts(&mut raw).await, ["lobby"]);
    connected(&client).await;
    assert_eq!(client.peer().stats().sent.dropped_too_large, 1);
    let mut raw = break_and_accept(&mut server, raw).await;
    assert_eq!(texts(&mut raw).await.map(|text| text.len()), [1_000, 5]);
}

/// The situation for which it exists.
#[tokio::test]
async fn a_client_is_in_its_rooms_again_after_a_reconnect() {
    let join_room = |peer: Peer, Text(room): Text| peer.set_tag((room, true));
    let server = TestServer::start(Router::new().route(OTHER, join_room)).await;
    let ann = server.client_with("ann", ClientConfig::default(), Router::new()).await;
    for room in ["lobby", "cellar"] {
        ann.client().restore(room, &join(room)).unwrap();
        ann.send(&join(room)).await;
    }
    for _ in 0..2 {
        server.settle().await;
        assert_eq!(server.hub().count(tag("lobby") & tag("cellar")), Ok(1));
        ann.link().cut();
        ann.link().heal();
        ann.connected().await;
    }
}
