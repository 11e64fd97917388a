//! `Router::messages`: the messages without a route, as a stream.

use futures::StreamExt;
use tokio::time::{sleep, timeout};
use veltix::limits::{FRAME_OVERHEAD, INBOX_BYTES};
use veltix::{
    BindError, Client, ClientConfig, ConfigError, Event, Message, MessageStream, Peer, Router,
    SendError, Server, ServerConfig,
};

use super::seconds;
use crate::support::{
    ACK, ECHO, OTHER, PATIENCE, PIPE, PYTHON, RawServer, World, frame, quiet, said, until,
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
    let (router, mut messages) = Router::new().messages();
    let client = world.client(router).await;
    // The stream may be read late.
    sleep(seconds(60)).await;
    assert_eq!(client.peer().stats().received.waiting, 64);
    assert_eq!(numbers(&mut messages, 64).await, (0..64).collect::<Vec<_>>());
    assert_eq!(client.peer().stats().received.discarded(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_one_segment_with_the_ack_is_there() {
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let (router, mut messages) = Router::new().messages();
    let connect = Client::connect_with(connector, ClientConfig::default(), router);
    let (client, _raw) = tokio::join!(connect, async {
        let mut raw = server.accept().await;
        raw.say(PYTHON).await.expect("the client listens");
        raw.hear().await.expect("the client speaks");
        let first = frame(OTHER.code(), 32_768, "0");
        raw.write(&[&said(ACK)[..], &first].concat()).await.expect("the client listens");
        raw
    });
    let _client = client.unwrap();
    // No other message arrives, not even a ping.
    let first = timeout(seconds(10), messages.next()).await.expect("it is there").unwrap();
    assert_eq!(first.text().unwrap(), "0");
}

#[tokio::test(start_paused = true)]
async fn without_a_stream_a_message_without_a_route_has_an_unknown_code() {
    let world = World::new(Router::new().route(ECHO, |message: Message| message));
    let client = world.client(Router::new()).await;
    for n in 0..1000 {
        world.newest().send(&number(n)).await.unwrap();
    }
    client.request(&Message::empty(ECHO)).await.unwrap();
    let received = client.peer().stats().received;
    assert_eq!((received.received, received.handled, received.discarded_unknown), (1001, 1, 1000));
}

#[tokio::test(start_paused = true)]
async fn while_it_is_read_nothing_is_dropped_and_the_server_waits() {
    const COUNT: usize = 5000;
    let config = ServerConfig::default().write_stall(None).outbox(10, 16 << 20);
    let world = World::with(config, 1024, Router::new());
    let (router, mut messages) = Router::new().messages();
    let client = world.client(router).await;
    let peer = world.newest();
    let sender = tokio::spawn(async move {
        for n in 0..COUNT {
            peer.send(&number(n)).await.expect("it waits for room");
        }
    });
    quiet().await;
    assert!(!sender.is_finished());
    // 64 in the stream, 64 before the handler that feeds it, and the one in the handler.
    let received = client.peer().stats().received;
    assert_eq!((received.received, received.handled), (64 + 64 + 1, 0));
    assert_eq!(received.waiting, received.received);
    // A slow reader is a reader.
    for n in 0..20 {
        sleep(seconds(1) - std::time::Duration::from_millis(1)).await;
        assert_eq!(numbers(&mut messages, 1).await, [n]);
    }
    assert_eq!(numbers(&mut messages, COUNT - 20).await, (20..COUNT).collect::<Vec<_>>());
    sender.await.unwrap();
    let received = client.peer().stats().received;
    // Pings are handled, too.
    assert_eq!((received.handled, received.waiting), (received.received, 0));
    assert_eq!((received.discarded(), messages.missed()), (0, 0));
}

/// The limits are those of the inbox, in bytes as well.
#[tokio::test(start_paused = true)]
async fn unread_messages_are_bounded_in_bytes_and_stop_no_route() {
    const SIZE: usize = 100_000;
    let world = World::new(Router::new());
    let (router, mut messages) = Router::new().route(ECHO, |message: Message| message).messages();
    let client = world.client(router).await;
    let mut events = client.events();
    let peer = world.newest();
    for n in 0..400 {
        let body = n.to_string() + &" ".repeat(SIZE);
        peer.send(&Message::from_text(OTHER, body)).await.expect("it waits for room");
    }
    // The route goes on after the time in which a reader would have taken a message.
    let question = Message::from_text(ECHO, "are you there?");
    peer.request(&question).timeout(seconds(2)).await.expect("the route answers");
    // The last one that fits may exceed the limit.
    let fit = INBOX_BYTES.div_ceil(SIZE + 3 + FRAME_OVERHEAD) as u64;
    let received = client.peer().stats().received;
    assert_eq!((received.received, received.handled, received.waiting), (401, 1, fit));
    assert_eq!((received.discarded_unread, messages.missed()), (400 - fit, 400 - fit));
    assert_eq!(received.discarded(), 400 - fit);
    let unread =
        |event| matches!(event, Event::Unread { code, .. } if code == OTHER.code()).then_some(());
    until(&mut events, unread).await;
    // The oldest messages are kept, and the stream goes on.
    for n in 0..fit {
        let message = messages.next().await.expect("one more");
        assert_eq!(message.text().unwrap().trim_end(), n.to_string());
    }
    peer.send(&number(1)).await.unwrap();
    assert_eq!(numbers(&mut messages, 1).await, [1]);
    let received = client.peer().stats().received;
    assert_eq!((received.handled, received.waiting), (1 + fit + 1, 0));
}

#[tokio::test(start_paused = true)]
async fn one_message_always_fits() {
    let world = World::new(Router::new());
    let (router, mut messages) = Router::new().messages();
    let client = world.client(router).await;
    let large = Message::new(OTHER, vec![7; 3 * INBOX_BYTES]);
    world.newest().send(&large).await.unwrap();
    assert_eq!(messages.next().await.expect("it is there").body(), large.body());
    assert!(client.is_connected());
}

#[tokio::test(start_paused = true)]
async fn it_gets_only_what_no_route_takes_and_a_later_fallback_replaces_it() {
    let world = World::new(Router::new());
    let (router, mut messages) = Router::new().route(ECHO, || {}).messages();
    let _client = world.client(router).await;
    world.newest().send(&Message::empty(ECHO)).await.unwrap();
    world.newest().send(&number(1)).await.unwrap();
    assert_eq!(numbers(&mut messages, 1).await, [1]);
    let (router, mut messages) = Router::new().messages();
    let router: Router = router.fallback(|| {});
    assert!(messages.next().await.is_none(), "the fallback handles everything");
    let (router, mut messages) = router.messages();
    drop(router);
    assert!(messages.next().await.is_none(), "no client will have the router");
}

#[test]
fn a_server_has_no_stream_of_messages() {
    let (router, _messages) = Router::new().messages();
    let (listener, _) = veltix::transport::memory(PIPE);
    let bound = Server::with_listener(listener, ServerConfig::default(), router);
    let error = bound.expect_err("the stream does not name the sender");
    assert!(matches!(error, BindError::Config(ConfigError::MessagesOnServer)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_holds_nothing_up() {
    let world = World::new(Router::new().route(ECHO, |message: Message| message));
    let (router, messages) = Router::new().messages();
    let client = world.client(router).await;
    for n in 0..100 {
        world.newest().send(&number(n)).await.unwrap();
    }
    quiet().await;
    // 64 in the stream, 35 before the handler, and the one in it.
    drop(messages);
    for n in 0..1000 {
        world.newest().send(&number(n)).await.unwrap();
    }
    client.request(&Message::empty(ECHO)).await.unwrap();
    let received = client.peer().stats().received;
    assert_eq!((received.discarded_unread, received.discarded_unknown), (64, 1036));
    assert_eq!((received.handled, received.waiting), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_client() {
    let world = World::new(Router::new());
    let (router, mut messages) = Router::new().messages();
    let client = world.client(router).await;
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
    let (router, messages) = Router::new().messages();
    let (_client, mut raw) = server.client(config, router).await;
    raw.send(OTHER.code(), 0, "0").await.unwrap();
    let mut raw = super::break_and_accept(&mut server, raw).await;
    raw.send(OTHER.code(), 0, "1").await.unwrap();
    let bodies: Vec<_> = messages.take(2).map(|message| message.into_body()).collect().await;
    assert_eq!(bodies, ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_client_has_lost_its_server_and_goes_on_with_the_next() {
    let mut server = RawServer::new(PIPE);
    let (router, mut messages) = Router::new().messages();
    let (client, mut raw) = server.client(ClientConfig::default(), router).await;
    raw.send(OTHER.code(), 0, "0").await.unwrap();
    drop(raw);
    assert_eq!(numbers(&mut messages, 1).await, [0]);
    assert!(timeout(PATIENCE, messages.next()).await.expect("nobody tries to connect").is_none());
    client.retry(1);
    let mut raw = server.accept().await;
    raw.welcome(PYTHON).await.unwrap();
    raw.send(OTHER.code(), 0, "1").await.unwrap();
    super::connected(&client).await;
    assert_eq!(numbers(&mut messages, 1).await, [1]);
}
