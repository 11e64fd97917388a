//! Ids with servers that use ids of the client's half for their own messages.

use bytes::Bytes;
use veltix::{Client, ClientConfig, Message, PONG, RequestError, RequestId, Router};

use crate::support::{ECHO, OTHER, PIPE, RawPeer, RawServer};

/// Connects a client to a server that uses the ids from 0 to `window` for its own messages.
async fn beside(window: u16) -> (Client, RawPeer) {
    let mut server = RawServer::new(PIPE);
    let router = Router::new().route(OTHER, |body: Bytes| body);
    let connect = Client::connect_with(server.connector.clone(), ClientConfig::default(), router);
    let (client, raw) = tokio::join!(connect, async {
        let mut raw = server.accept().await;
        let hello = format!(r#"{{"v": "2.0.3", "pv": "1.0", "meta": {{"id_window": {window}}}}}"#);
        raw.welcome(&hello).await.expect("the handshake works");
        raw
    });
    (client.expect("it connects"), raw)
}

/// Returns the id of the next message.
async fn next_id(raw: &mut RawPeer) -> u16 {
    raw.next().await.expect("a message").id().value()
}

#[tokio::test(start_paused = true)]
async fn without_a_window_a_client_has_its_half() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = server.client(ClientConfig::default(), Router::new()).await;
    let message = Message::empty(ECHO);
    client.send(&message).await.unwrap();
    assert_eq!(next_id(&mut raw).await, 0);
    for id in 1..=3 {
        let call = tokio::spawn(client.request(&message));
        assert_eq!(next_id(&mut raw).await, id);
        raw.send(ECHO.code(), id, id.to_string()).await.unwrap();
        assert_eq!(call.await.unwrap().unwrap().text().unwrap(), id.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_window_a_client_keeps_above_it() {
    let (client, mut raw) = beside(30_000).await;
    assert_eq!(client.peer().hello().id_window(), Some(30_000));
    let message = Message::empty(ECHO);
    client.send(&message).await.unwrap();
    assert_eq!(next_id(&mut raw).await, 30_000);
    let one = tokio::spawn(client.request(&message));
    assert_eq!(next_id(&mut raw).await, 30_001);
    let two = tokio::spawn(client.ping());
    assert_eq!(next_id(&mut raw).await, 30_002);
    // A message of the server, whose id would be that of a call if there were no window.
    raw.send(OTHER.code(), 1, "mine").await.unwrap();
    let answer = raw.next().await.unwrap();
    assert_eq!((answer.id().value(), answer.text().unwrap()), (1, "mine"));
    raw.send(PONG.code(), 30_002, "").await.unwrap();
    two.await.unwrap().unwrap();
    // An answer may have any type: its id has no other meaning.
    raw.send(OTHER.code(), 30_001, "an answer").await.unwrap();
    assert_eq!(one.await.unwrap().unwrap().code(), OTHER.code());
    // An answer to a plain message is not an answer to a call, and is not answered in turn.
    raw.send(OTHER.code(), 30_000, "an echo").await.unwrap();
    raw.send(OTHER.code(), 7, "mine again").await.unwrap();
    assert_eq!(next_id(&mut raw).await, 7);
    assert_eq!(client.peer().stats().received.replies_discarded, 1);
}

#[tokio::test(start_paused = true)]
async fn calls_beside_a_window_go_round_within_their_range() {
    let (client, mut raw) = beside(32_767 - 256).await;
    let message = Message::empty(ECHO);
    for round in 0..2 {
        for id in 32_512..=32_767 {
            let call = tokio::spawn(client.request(&message));
            assert_eq!(next_id(&mut raw).await, id, "round {round}");
            raw.send(ECHO.code(), id, "").await.unwrap();
            call.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_window_that_leaves_nothing_a_call_must_name_the_type_of_its_answer() {
    let (client, mut raw) = beside(32_767).await;
    let message = Message::empty(ECHO);
    let refused = client.request(&message).await.unwrap_err();
    assert!(matches!(refused, RequestError::TypeNeeded), "{refused:?}");
    assert!(refused.to_string().contains(".expect(TYPE)"), "{refused}");

    let call = tokio::spawn(client.request(&message).expect(ECHO));
    assert_eq!(next_id(&mut raw).await, 1);
    // The server's own message with the id of our call: it is handled, and the call continues to
    // wait.
    raw.send(OTHER.code(), 1, "mine").await.unwrap();
    let answer = raw.next().await.unwrap();
    assert_eq!(
        (answer.code(), answer.id(), answer.text().unwrap()),
        (201, RequestId::new(1), "mine")
    );
    assert!(!call.is_finished());
    raw.send(ECHO.code(), 1, "the answer").await.unwrap();
    assert_eq!(call.await.unwrap().unwrap().text().unwrap(), "the answer");
    // Another message of the server, with an id that no call has: it is not taken for a late
    // answer.
    raw.send(OTHER.code(), 1, "mine again").await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), "mine again");
    assert_eq!(client.peer().stats().received.discarded(), 0);
}

#[tokio::test(start_paused = true)]
async fn pings_work_beside_any_window() {
    for window in [0, 1, 30_000, 32_600, 32_767, u16::MAX] {
        let (client, mut raw) = beside(window).await;
        let ping = tokio::spawn(client.ping());
        let id = next_id(&mut raw).await;
        raw.send(PONG.code(), id, "").await.unwrap();
        ping.await.unwrap().unwrap_or_else(|error| panic!("{window}: {error}"));
    }
}
