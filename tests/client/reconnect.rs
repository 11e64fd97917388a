//! The behaviour of a client whose connection is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use veltix::client::NotConnected;
use veltix::testing::{TestClient, TestServer};
use veltix::{
    ClientConfig, ClientStatus, CloseReason, Event, EventStream, Message, Reconnect, Refuse,
    RequestError, Router, SendError,
};

use super::{accept, attempt, break_and_accept, config, connected, gave_up, lost, next, seconds};
use crate::support::{ECHO, PIPE, PYTHON, RawServer, quiet, until};

#[tokio::test(start_paused = true)]
async fn after_a_fixed_pause_routes_and_on_connect_are_there_again() {
    let connects = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connects);
    let disconnects = Arc::new(AtomicUsize::new(0));
    let gone = Arc::clone(&disconnects);
    let router = Router::new()
        .route(ECHO, |body: Bytes| body)
        .on_connect(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .on_disconnect(move || {
            gone.fetch_add(1, Ordering::Relaxed);
        });
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(3)));
    let (client, mut raw) = server.client(reconnect, router).await;
    for round in 1..=5 {
        assert_eq!(connects.load(Ordering::Relaxed), round);
        assert_eq!(disconnects.load(Ordering::Relaxed), round - 1);
        raw.send(ECHO.code(), 40_000, "hello").await.unwrap();
        assert_eq!(raw.next().await.unwrap().id().value(), 40_000);
        let peer = client.peer();
        let start = Instant::now();
        raw = break_and_accept(&mut server, raw).await;
        assert_eq!(start.elapsed(), seconds(3));
        connected(&client).await;
        assert_ne!(client.peer(), peer, "a new connection is a new peer");
        assert_eq!(peer.closed().await.reason, CloseReason::PeerClosed);
        // Longer than the time after which the count of attempts starts again.
        sleep(seconds(10)).await;
    }
}

#[tokio::test]
async fn the_status_tells_each_step() {
    let server = TestServer::start(Router::new()).await;
    let reconnect = config(Reconnect::fixed(seconds(1)));
    let ann = server.client_with("ann", reconnect, Router::new()).await;
    let mut status = ann.client().status();
    assert_eq!(*status.borrow_and_update(), ClientStatus::Connected);
    ann.link().cut();
    assert_eq!(next(&mut status).await, ClientStatus::Reconnecting { attempt: 1 });
    assert_eq!(next(&mut status).await, ClientStatus::Reconnecting { attempt: 2 });
    assert!(!ann.client().is_connected());
    ann.link().heal();
    assert_eq!(next(&mut status).await, ClientStatus::Connected);
    ann.link().cut();
    // Consecutive attempts are counted.
    assert_eq!(next(&mut status).await, ClientStatus::Reconnecting { attempt: 1 });
    ann.client().close().await;
    assert_eq!(*status.borrow_and_update(), ClientStatus::Closed);
}

/// Returns the pauses of a client whose server never comes back.
async fn pauses(reconnect: Reconnect, count: usize) -> Vec<Duration> {
    let mut server = RawServer::new(PIPE);
    let (client, raw) = server.client(config(reconnect), Router::new()).await;
    let mut events = client.events();
    drop((server, raw));
    let mut pauses = Vec::new();
    for number in 1..=count {
        let start = Instant::now();
        let (attempt, pause) = attempt(&mut events).await;
        assert_eq!(attempt as usize, number);
        if let Some(last) = pauses.last() {
            // The clock has a resolution of milliseconds.
            assert!(start.elapsed().abs_diff(*last) <= Duration::from_millis(1));
        }
        pauses.push(pause);
    }
    pauses
}

#[tokio::test(start_paused = true)]
async fn backoff_pauses_are_drawn_from_windows_that_double() {
    let windows = [1, 2, 4, 8, 16, 30, 30, 30].map(seconds);
    let one = pauses(Reconnect::backoff(), windows.len()).await;
    let other = pauses(Reconnect::backoff(), windows.len()).await;
    for pauses in [&one, &other] {
        assert!(pauses.iter().zip(windows).all(|(pause, window)| *pause <= window), "{pauses:?}");
        assert!(pauses.iter().zip(windows).any(|(pause, window)| *pause < window), "{pauses:?}");
    }
    assert_ne!(one, other, "clients that were lost together do not reconnect together");
    let narrow = Reconnect::backoff().windows(seconds(2), seconds(5));
    let windows = [2, 4, 5, 5].map(seconds);
    let pauses = pauses(narrow, 4).await;
    assert!(pauses.iter().zip(windows).all(|(pause, window)| *pause <= window), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_without_reconnect_is_lost_at_once() {
    let mut server = RawServer::new(PIPE);
    let (client, raw) = server.client(ClientConfig::default(), Router::new()).await;
    let mut events = client.events();
    drop(raw);
    assert_eq!(gave_up(&mut events).await, 0);
    assert_eq!(lost(&client).await, "the peer closed the connection");
}

#[tokio::test]
async fn attempts_are_used_up() {
    let server = TestServer::start(Router::new()).await;
    let reconnect = config(Reconnect::fixed(seconds(2)).attempts(3));
    let ann = server.client_with("ann", reconnect, Router::new()).await;
    let mut events = ann.client().events();
    ann.link().cut();
    let start = Instant::now();
    for number in 1..=3 {
        assert_eq!(attempt(&mut events).await, (number, seconds(2)));
    }
    assert_eq!(gave_up(&mut events).await, 3);
    assert_eq!(start.elapsed(), seconds(6));
    assert!(lost(ann.client()).await.starts_with("the test server cannot be reached"));
    // The client has ended and does not pause, even if the server comes back.
    ann.link().heal();
    server.advance(seconds(3600)).await;
    assert!(matches!(*ann.client().status().borrow(), ClientStatus::Lost { .. }));
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_fail_at_once_and_nothing_is_kept_for_later() {
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(1)));
    let (client, mut raw) = server.client(reconnect, Router::new()).await;
    let message = Message::from_text(ECHO, "lost");
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(client.request(&message))).collect();
    let ping = tokio::spawn(client.ping());
    for _ in 0..4 {
        raw.next().await.unwrap();
    }
    let start = Instant::now();
    drop(raw);
    for call in calls {
        assert!(matches!(call.await.unwrap(), Err(RequestError::ConnectionLost)));
    }
    assert!(matches!(ping.await.unwrap(), Err(RequestError::ConnectionLost)));
    assert!(matches!(client.send(&message).await, Err(SendError::Closed)));
    assert!(matches!(client.try_send(&message), Err(SendError::Closed)));
    assert!(matches!(client.request(&message).await, Err(RequestError::Closed)));
    assert_eq!(start.elapsed(), seconds(0));
    let mut raw = accept(&mut server).await;
    raw.welcome(PYTHON).await.unwrap();
    connected(&client).await;
    client.send(&Message::from_text(ECHO, "new")).await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_ends_the_attempts() {
    for refusal in [r#"{"v": "9.0", "pv": "2.0"}"#, r#"{"error": "banned"}"#] {
        let mut server = RawServer::new(PIPE);
        let reconnect = config(Reconnect::fixed(seconds(1)));
        let (client, raw) = server.client(reconnect, Router::new()).await;
        let mut events = client.events();
        drop(raw);
        accept(&mut server).await.say(refusal).await.unwrap();
        assert_eq!(gave_up(&mut events).await, 1);
        let reason = lost(&client).await;
        assert!(reason.starts_with("the handshake with memory failed"), "{reason}");
        tokio::select! {
            _ = server.accept() => panic!("it tried again"),
            () = sleep(seconds(3600)) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_server_is_tried_again() {
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(1)));
    let (client, raw) = server.client(reconnect, Router::new()).await;
    drop(raw);
    let start = Instant::now();
    for _ in 0..3 {
        accept(&mut server).await.say(r#"{"error": "server_full"}"#).await.unwrap();
    }
    let mut raw = accept(&mut server).await;
    raw.welcome(PYTHON).await.unwrap();
    connected(&client).await;
    assert_eq!(start.elapsed(), seconds(4));
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_overtook_the_handshake_is_tried_again_at_once_three_times() {
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(5)));
    let (client, raw) = server.client(reconnect, Router::new()).await;
    let mut events = client.events();
    drop(raw);
    let start = Instant::now();
    assert_eq!(attempt(&mut events).await.0, 1);
    // The first connection, and three at once; only then the attempt counts as a failure, and a
    // pause follows.
    for _ in 0..4 {
        accept(&mut server).await.send(ECHO.code(), 32_768, "a broadcast").await.unwrap();
        assert_eq!(start.elapsed(), seconds(5));
    }
    assert_eq!(attempt(&mut events).await.0, 2);
    let mut raw = accept(&mut server).await;
    // The frame may also overtake only the ack.
    raw.say(PYTHON).await.unwrap();
    raw.hear().await.unwrap();
    raw.send(ECHO.code(), 32_768, "a broadcast").await.unwrap();
    let mut raw = accept(&mut server).await;
    raw.welcome(PYTHON).await.unwrap();
    connected(&client).await;
    assert_eq!(start.elapsed(), seconds(10));
}

#[tokio::test(start_paused = true)]
async fn so_it_is_at_the_first_connect_if_that_is_tried_again_at_all() {
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let reconnect = config(Reconnect::fixed(seconds(5)).initial(true));
    let connect = veltix::Client::connect_with(connector, reconnect, Router::new());
    let start = Instant::now();
    let accept = async {
        for _ in 0..4 {
            accept(&mut server).await.send(ECHO.code(), 32_768, "a broadcast").await.unwrap();
            assert_eq!(start.elapsed(), seconds(0));
        }
        let mut raw = accept(&mut server).await;
        raw.welcome(PYTHON).await.unwrap();
        raw
    };
    let (client, _raw) = tokio::join!(connect, accept);
    assert!(client.unwrap().is_connected());
    assert_eq!(start.elapsed(), seconds(5));
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_in_a_row() {
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(1)).attempts(2));
    let (client, mut raw) = server.client(reconnect, Router::new()).await;
    let mut events = client.events();
    // For any number of losses and any age of the connection: each connection ends a series of
    // attempts.
    for _ in 0..5 {
        raw = break_and_accept(&mut server, raw).await;
        assert_eq!(attempt(&mut events).await.0, 1);
    }
    drop(raw);
    for number in 1..=2 {
        assert_eq!(attempt(&mut events).await.0, number);
        drop(accept(&mut server).await);
    }
    assert_eq!(gave_up(&mut events).await, 2);
    assert!(!client.is_connected());
}

#[tokio::test(start_paused = true)]
async fn an_on_connect_that_refuses_for_good_later_ends_the_attempts() {
    let connects = AtomicUsize::new(0);
    let connects = Arc::new(connects);
    let router = Router::new().on_connect(move || match connects.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err(Refuse::new("not again")),
    });
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(1)));
    let (client, raw) = server.client(reconnect, router).await;
    let mut raw = break_and_accept(&mut server, raw).await;
    assert_eq!(lost(&client).await, "refused for good by on_connect: not again");
    assert!(raw.rest().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_dropped_does_not_come_back() {
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(1)));
    let (client, raw) = server.client(reconnect, Router::new()).await;
    let mut events = client.events();
    drop(raw);
    attempt(&mut events).await;
    drop(client);
    tokio::select! {
        _ = server.accept() => panic!("it came back"),
        () = sleep(seconds(3600)) => {}
    }
}

#[tokio::test]
async fn pauses_grow_until_a_connection_has_lived_for_ten_seconds() {
    let server = TestServer::start(Router::new()).await;
    let windows = Reconnect::backoff().windows(seconds(1), seconds(1 << 20));
    let ann = server.client_with("ann", config(windows), Router::new()).await;
    let mut events = ann.client().events();
    // A server that drops every connection at once is not flooded: the windows double.
    let mut longest = Duration::ZERO;
    for _ in 0..12 {
        longest = longest.max(come_back(&ann, &mut events).await);
    }
    assert!(longest > seconds(1), "{longest:?} of a window of up to 2048 s");
    server.advance(seconds(10)).await;
    assert!(come_back(&ann, &mut events).await <= seconds(1));
}

/// Drops the connection and accepts another. Returns the pause between them.
async fn come_back(client: &TestClient, events: &mut EventStream) -> Duration {
    client.link().cut();
    let (number, pause) = attempt(events).await;
    assert_eq!(number, 1);
    client.link().heal();
    let mut status = client.client().status();
    status.wait_for(|status| *status == ClientStatus::Connected).await.expect("it is there");
    pause
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_told() {
    let mut server = RawServer::new(PIPE);
    let (client, raw) = server.client(config(Reconnect::fixed(seconds(1))), Router::new()).await;
    let mut events = client.events();
    let _raw = break_and_accept(&mut server, raw).await;
    let reconnected = |event| match event {
        Event::Reconnected { peer } => Some(peer),
        _ => None,
    };
    assert_eq!(until(&mut events, reconnected).await, client.peer());
    assert!(client.is_connected());
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_answered_in_time_is_told() {
    let mut server = RawServer::new(PIPE);
    let (client, _raw) = server.client(ClientConfig::default(), Router::new()).await;
    let mut events = client.events();
    client.request(&Message::empty(ECHO)).await.unwrap_err();
    let timed_out = |event| match event {
        Event::RequestTimedOut { peer, code } => Some((peer, code)),
        _ => None,
    };
    assert_eq!(until(&mut events, timed_out).await, (client.peer(), ECHO.code()));
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_be_waited_for() {
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(3)).attempts(1));
    let (client, raw) = server.client(reconnect, Router::new()).await;
    assert_eq!(client.connected().await.unwrap(), client.peer());
    let start = Instant::now();
    let first = client.peer();
    drop(raw);
    quiet().await;
    let (peer, raw) = tokio::join!(client.connected(), async {
        let mut raw = accept(&mut server).await;
        raw.welcome(PYTHON).await.unwrap();
        raw
    });
    assert_ne!(peer.unwrap(), first);
    assert_eq!(start.elapsed(), seconds(3));
    drop((raw, server));
    quiet().await;
    assert!(matches!(client.connected().await, Err(NotConnected::Lost { .. })));
    client.close().await;
    assert_eq!(client.connected().await, Err(NotConnected::Closed));
}
