//! `client.messages()`: the messages without a route, as a stream.

use futures::StreamExt;
use tokio::time::{sleep, timeout};
use veltix::{ClientConfig, Message, MessageStream, Peer, Router, SendError, ServerConfig};

use super::seconds;
use crate::support::{
    ACK, ECHO, OTHER, PATIENCE, PIPE, PYTHON, RawServer, World, frame, quiet, said,
};

/// Returns the numbers in the next `count` messages.
async fn numbers(messages: &mut MessageStream, count: usize) -> Vec<usize> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let message =
            timeout(PATIENCE, messages.next()).await.expect("a message").expect("one more");
        numbers.push(message.text().expect("text").parse().expect("a number"));
    }
    numbers
}

fn number(number: usize) -> Message {
    Message::from_text(OTHER, number.to_string())
}

#[tokio::test(start_paused = true)]
async fn nothing_that_comes_right_after_the_connect_is_missed() {
    let greet = |peer: Peer| {
        (0..64).try_for_each(|n| peer.try_send(&number(n)))?;
        Ok::<_, SendError>(())
    };
    let world = World::new(Router::new().on_connect(greet));
    let client = world.client(Router::new()).await;
    // The stream may be requested late.
    sleep(seconds(60)).await;
    let mut messages = client.messages().unwrap();
    assert_eq!(numbers(&mut messages, 64).await, (0..64).collect::<Vec<_>>());
    assert_eq!(client.peer().stats().received.discarded(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_one_segment_with_the_ack_is_there() {
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let connect = veltix::Client::connect_with(connector, ClientConfig::default(), Router::new());
    let (client, _raw) = tokio::join!(connect, async {
        let mut raw = server.accept().await;
        raw.say(PYTHON).await.expect("the client listens");
        raw.hear().await.expect("the client speaks");
        let first = frame(OTHER.code(), 32_768, "0");
        raw.write(&[&said(ACK)[..], &first].concat()).await.expect("the client listens");
        raw
    });
    let mut messages = client.unwrap().messages().unwrap();
    // No other message arrives, not even a ping.
    let first = timeout(seconds(10), messages.next()).await.expect("it is there").unwrap();
    assert_eq!(first.text().unwrap(), "0");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_dropped_and_counted() {
    let world = World::new(Router::new().route(ECHO, |message: Message| message));
    let client = world.client(Router::new()).await;
    for n in 0..1000 {
        world.newest().send(&number(n)).await.unwrap();
    }
    client.request(&Message::empty(ECHO)).await.unwrap();
    let received = client.peer().stats().received;
    assert_eq!((received.received, received.handled, received.discarded_unknown), (1001, 65, 936));
    let mut messages = client.messages().unwrap();
    assert_eq!(numbers(&mut messages, 64).await, (0..64).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn once_asked_for_nothing_is_dropped_and_the_server_waits() {
    const COUNT: usize = 5000;
    let config = ServerConfig::default().write_stall(None).outbox(10, 16 << 20);
    let world = World::with(config, 1024, Router::new());
    let client = world.client(Router::new()).await;
    let mut messages = client.messages().unwrap();
    let peer = world.newest();
    let sender = tokio::spawn(async move {
        for n in 0..COUNT {
            peer.send(&number(n)).await.expect("it waits for room");
        }
    });
    quiet().await;
    assert!(!sender.is_finished());
    // 64 in the stream, 64 before the handler that feeds it, and the one in the handler.
    assert_eq!(client.peer().stats().received.received, 64 + 64 + 1);
    assert_eq!(numbers(&mut messages, COUNT).await, (0..COUNT).collect::<Vec<_>>());
    sender.await.unwrap();
    assert_eq!(client.peer().stats().received.discarded(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_the_first_gets_it_and_only_what_no_route_takes() {
    let world = World::new(Router::new());
    let client = world.client(Router::new().route(ECHO, || {})).await;
    let mut messages = client.messages().unwrap();
    assert!(client.messages().is_none());
    assert!(client.clone().messages().is_none());
    world.newest().send(&Message::empty(ECHO)).await.unwrap();
    world.newest().send(&number(1)).await.unwrap();
    assert_eq!(numbers(&mut messages, 1).await, [1]);
    let client = world.client(Router::new().fallback(|| {})).await;
    assert!(client.messages().is_none(), "the fallback handles everything");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_holds_nothing_up() {
    let world = World::new(Router::new().route(ECHO, |message: Message| message));
    let client = world.client(Router::new()).await;
    drop(client.messages().unwrap());
    for n in 0..1000 {
        world.newest().send(&number(n)).await.unwrap();
    }
    client.request(&Message::empty(ECHO)).await.unwrap();
    assert_eq!(client.peer().stats().received.discarded_unknown, 1000);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_client() {
    let world = World::new(Router::new());
    let client = world.client(Router::new()).await;
    let mut messages = client.messages().unwrap();
    world.newest().send(&number(1)).await.unwrap();
    quiet().await;
    // The client's handle remains; the received messages are still available.
    client.close().await;
    assert_eq!(numbers(&mut messages, 1).await, [1]);
    let end = timeout(PATIENCE, messages.next()).await.expect("the client has ended");
    assert!(end.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_is_a_stream_over_reconnects() {
    let mut server = RawServer::new(PIPE);
    let config = super::config(veltix::Reconnect::fixed(seconds(1)));
    let (client, mut raw) = server.client(config, Router::new()).await;
    let messages = client.messages().unwrap();
    raw.send(OTHER.code(), 0, "0").await.unwrap();
    let mut raw = super::break_and_accept(&mut server, raw).await;
    raw.send(OTHER.code(), 0, "1").await.unwrap();
    let bodies: Vec<_> = messages.take(2).map(|message| message.into_body()).collect().await;
    assert_eq!(bodies, ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_client_has_lost_its_server_and_another_begins_with_the_next() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = server.client(ClientConfig::default(), Router::new()).await;
    let mut messages = client.messages().unwrap();
    raw.send(OTHER.code(), 0, "0").await.unwrap();
    drop(raw);
    assert_eq!(numbers(&mut messages, 1).await, [0]);
    assert!(timeout(PATIENCE, messages.next()).await.expect("nobody tries to connect").is_none());
    client.retry(1);
    let mut raw = server.accept().await;
    raw.welcome(PYTHON).await.unwrap();
    raw.send(OTHER.code(), 0, "1").await.unwrap();
    super::connected(&client).await;
    let mut messages = client.messages().expect("that of the new connection");
    assert_eq!(numbers(&mut messages, 1).await, [1]);
}
