//! A server that announces its shutdown.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use veltix::{
    Client, ClientConfig, Event, EventStream, GOING_AWAY, Message, Reconnect, RequestError, Router,
    limits,
};

use super::{accept, attempt, config, gave_up, seconds};
use crate::support::{ECHO, LISTENING, PIPE, PYTHON, RawPeer, RawServer, World, quiet, until};

/// Connects a client to a raw server that can announce its shutdown. Returns the client and the
/// server's side of its connection.
async fn client(server: &mut RawServer, config: ClientConfig) -> (Client, RawPeer) {
    let connector = server.connector.clone();
    let (client, raw) =
        tokio::join!(Client::connect_with(connector, config, Router::new()), async {
            let mut raw = server.accept().await;
            raw.welcome(LISTENING).await.expect("the handshake works");
            raw
        });
    (client.expect("it connects"), raw)
}

async fn say_going_away(raw: &mut RawPeer, spread: Duration) {
    let millis = u32::try_from(spread.as_millis()).expect("it is short").to_be_bytes();
    raw.send(GOING_AWAY.code(), 32_768, millis.to_vec()).await.expect("the client reads");
}

/// Returns the time that the announcement asks for.
async fn told(events: &mut EventStream) -> Duration {
    let going = |event| match event {
        Event::GoingAway { spread, .. } => Some(spread),
        _ => None,
    };
    until(events, going).await
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_finished_and_the_time_is_kept_to() {
    const SPREAD: Duration = seconds(100);
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, config(Reconnect::backoff())).await;
    let mut events = client.events();
    let mut pauses = Vec::new();
    for _ in 0..40 {
        let call = tokio::spawn(client.request(&Message::from_text(ECHO, "before")));
        let question = raw.next().await.expect("the call");
        say_going_away(&mut raw, SPREAD).await;
        assert_eq!(told(&mut events).await, SPREAD);
        assert!(client.is_connected(), "it is the server that closes");
        raw.send(ECHO.code(), question.id().value(), "after").await.expect("the client reads");
        assert_eq!(call.await.unwrap().expect("an answer").text().unwrap(), "after");
        let received = client.peer().stats().received;
        assert_eq!((received.received, received.handled), (2, 2), "the notice, and the answer");
        let start = Instant::now();
        drop(raw);
        let (number, pause) = attempt(&mut events).await;
        assert_eq!(number, 1);
        raw = accept(&mut server).await;
        assert!(start.elapsed().abs_diff(pause) < Duration::from_millis(2), "{pause:?}");
        raw.welcome(LISTENING).await.expect("the handshake works");
        super::connected(&client).await;
        pauses.push(pause);
    }
    assert!(pauses.iter().all(|pause| *pause <= SPREAD), "{pauses:?}");
    // Each of these conditions is missed by all clients with a probability of 2^-40.
    assert!(pauses.iter().any(|pause| *pause > SPREAD / 2), "{pauses:?}");
    assert!(pauses.iter().any(|pause| *pause < SPREAD / 2), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn it_is_for_one_attempt_and_the_next_are_as_ever() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, config(Reconnect::fixed(seconds(7)))).await;
    let mut events = client.events();
    say_going_away(&mut raw, seconds(5)).await;
    drop(raw);
    let (number, pause) = attempt(&mut events).await;
    assert!(number == 1 && (seconds(7)..=seconds(12)).contains(&pause), "{pause:?}");
    drop(accept(&mut server).await);
    assert_eq!(attempt(&mut events).await, (2, seconds(7)));
    let mut raw = accept(&mut server).await;
    raw.welcome(LISTENING).await.expect("the handshake works");
    super::connected(&client).await;
    drop(raw);
    assert_eq!(attempt(&mut events).await, (1, seconds(7)));
}

#[tokio::test(start_paused = true)]
async fn no_server_keeps_its_clients_away_for_long() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, ClientConfig::default()).await;
    let mut events = client.events();
    say_going_away(&mut raw, seconds(4_000_000)).await;
    assert_eq!(told(&mut events).await, limits::MAX_RECONNECT_SPREAD);
    drop(raw);
    // A client that does not reconnect does not reconnect on request either.
    assert_eq!(gave_up(&mut events).await, 0);
}

#[tokio::test(start_paused = true)]
async fn only_who_has_said_so_in_its_hello_is_listened_to() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = server.client(config(Reconnect::backoff()), Router::new()).await;
    let mut events = client.events();
    say_going_away(&mut raw, seconds(1_000)).await;
    let unknown = |event| match event {
        Event::UnknownCode { code, .. } => Some(code),
        Event::GoingAway { .. } => panic!("the announcement is ignored"),
        _ => None,
    };
    assert_eq!(until(&mut events, unknown).await, GOING_AWAY.code());
    assert_eq!(client.peer().stats().received.discarded_unknown, 1);
    drop(raw);
    assert!(attempt(&mut events).await.1 <= seconds(1), "the client's own window applies");
    accept(&mut server).await.welcome(PYTHON).await.expect("the handshake works");
}

#[tokio::test(start_paused = true)]
async fn one_that_says_no_time_is_counted_as_rejected() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, config(Reconnect::backoff())).await;
    let mut events = client.events();
    let call = tokio::spawn(client.request(&Message::empty(ECHO)));
    raw.next().await.expect("the call");
    raw.send(GOING_AWAY.code(), 32_768, vec![1; 3]).await.expect("the client reads");
    quiet().await;
    let received = client.peer().stats().received;
    assert_eq!((received.received, received.rejected), (1, 1));
    drop(raw);
    assert!(matches!(call.await.unwrap(), Err(RequestError::ConnectionLost)));
    assert!(attempt(&mut events).await.1 <= seconds(1));
}

/// A server that repeats its announcement fills neither the log nor the events, as with unknown
/// codes.
#[tokio::test(start_paused = true)]
async fn it_is_told_once_and_the_last_word_counts() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, config(Reconnect::backoff())).await;
    let mut events = client.events();
    for millis in 1..=5_000 {
        say_going_away(&mut raw, Duration::from_millis(millis)).await;
    }
    say_going_away(&mut raw, Duration::ZERO).await;
    drop(raw);
    let mut tells = 0;
    let pause = loop {
        match events.next().await.expect("the client is there") {
            Event::GoingAway { .. } => tells += 1,
            Event::Reconnecting { delay, .. } => break delay,
            Event::Lagged(lost) => panic!("{lost} events are lost"),
            _ => {}
        }
    };
    assert_eq!((tells, pause), (1, Duration::ZERO));
    assert_eq!(client.peer().stats().received.handled, 5_001);
}

/// It is not a failed attempt: the later pauses begin as they would have.
#[tokio::test(start_paused = true)]
async fn it_leaves_the_backoff_where_it_was() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, config(Reconnect::backoff())).await;
    let mut events = client.events();
    for _ in 0..40 {
        // The connection lasts long enough for the pauses to start again.
        sleep(limits::RECONNECT_RESET).await;
        say_going_away(&mut raw, seconds(50)).await;
        told(&mut events).await;
        drop(raw);
        assert_eq!(attempt(&mut events).await.0, 1);
        drop(accept(&mut server).await);
        let (number, pause) = attempt(&mut events).await;
        assert!(number == 2 && pause <= limits::RECONNECT_FIRST, "{pause:?}");
        raw = accept(&mut server).await;
        raw.welcome(LISTENING).await.expect("the handshake works");
        super::connected(&client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_server_listens_to_it() {
    let world = World::new(Router::new());
    let mut events = world.hub.events();
    let mut raw = world.silent().await;
    raw.shake_hands_saying(LISTENING).await.expect("the handshake works");
    say_going_away(&mut raw, seconds(50)).await;
    let unknown = |event| match event {
        Event::UnknownCode { code, .. } => Some(code),
        Event::GoingAway { .. } => panic!("the announcement is ignored"),
        _ => None,
    };
    assert_eq!(until(&mut events, unknown).await, GOING_AWAY.code());
    assert_eq!(world.newest().stats().received.discarded_unknown, 1);
}
