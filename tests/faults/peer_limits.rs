//! Messages over the limit that the other side announced in its handshake.

use std::error::Error;

use tokio::time::Instant;
use veltix::request::Response;
use veltix::typed::ToMessage;
use veltix::{
    ClientConfig, EncodeError, Event, Hub, Message, RequestError, Router, SendError, ServerConfig,
    all, tag,
};

use super::{Scene, seconds};
use crate::support::{ECHO, OTHER, PIPE, PYTHON, RawServer, World, quiet, until};

const LIMIT: usize = 1_000;

/// Returns a message whose frame has this number of bytes.
fn sized(frame: usize) -> Message {
    Message::new(ECHO, vec![7; frame - 15])
}

#[track_caller]
fn is_over_peer_limit(error: &EncodeError, expected: usize) {
    let EncodeError::OverPeerLimit { size, limit } = error else { panic!("{error:?}") };
    assert_eq!((*size, *limit), (expected, LIMIT));
    assert!(error.to_string().contains("the peer's max_message_size (1000)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_client_refuses_what_its_server_does_not_accept() {
    let config = ServerConfig::default().max_message_size(LIMIT);
    let scene = Scene::with(config, PIPE, Router::new()).await;
    let client = &scene.bystander;
    let large = sized(LIMIT + 1);
    let start = Instant::now();
    let Err(SendError::Encode(error)) = client.send(&large).await else { panic!("it is sent") };
    is_over_peer_limit(&error, LIMIT + 1);
    let Err(SendError::Encode(error)) = client.try_send(&large) else { panic!("it is sent") };
    is_over_peer_limit(&error, LIMIT + 1);
    let Err(RequestError::Encode(error)) = client.request(&large).await else { panic!("sent") };
    is_over_peer_limit(&error, LIMIT + 1);
    assert_eq!(start.elapsed(), seconds(0), "no timeout is awaited");
    let answer = client.request(&sized(LIMIT)).await.expect("it is accepted");
    assert_eq!(answer.body().len(), LIMIT - 15);
    assert_eq!(client.peer().hello().max_message_size(), Some(LIMIT));
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_refuses_what_a_client_does_not_accept() {
    let grow = |message: Message| Message::new(ECHO, vec![7; message.body().len() + 1]);
    let world = World::new(Router::new().route(OTHER, grow));
    let mut events = world.hub.events();
    let config = ClientConfig::default().max_message_size(LIMIT);
    let (router, mut messages) = Router::new().messages();
    let client = world.client_with(config, router).await;
    let peer = world.newest();
    let Err(SendError::Encode(error)) = peer.send(&sized(LIMIT + 1)).await else { panic!("sent") };
    is_over_peer_limit(&error, LIMIT + 1);
    peer.send(&sized(LIMIT)).await.expect("it is accepted");
    messages.next().await.expect("it arrives");

    // A reply over the limit is an error of its handler.
    let question = Message::new(OTHER, vec![7; LIMIT - 15]);
    let asked = client.request(&question).await;
    assert!(matches!(asked, Err(RequestError::Timeout { .. })), "{asked:?}");
    let failed = |event| match event {
        Event::HandlerFailed { error, .. } => Some(error),
        _ => None,
    };
    let error = until(&mut events, failed).await;
    assert!(error.contains("is over the peer's max_message_size (1000)"), "{error}");
    assert!(client.is_connected() && client.ping().await.is_ok());
}

/// The peers that accept a broadcast receive it, and the others are counted.
#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_the_peers_that_accept_it() {
    let world = World::new(Router::new());
    let small = ClientConfig::default().max_message_size(LIMIT);
    let mut clients = Vec::new();
    for number in 0..8 {
        let config = if number % 4 == 3 { small.clone() } else { ClientConfig::default() };
        let (router, messages) = Router::new().messages();
        let client = world.client_with(config, router).await;
        world.newest().add_tag("room").unwrap();
        clients.push((messages, client));
    }
    for (frame, refused) in [(LIMIT, 0), (LIMIT + 1, 2), (LIMIT, 0), (50_000, 2)] {
        for delivery in [
            world.hub.broadcast(&sized(frame)).unwrap(),
            world.hub.to(tag("room")).send(&sized(frame)).unwrap(),
        ] {
            assert_eq!((delivery.matched, delivery.queued), (8, 8 - refused));
            assert_eq!((delivery.dropped, delivery.too_large), (refused, refused));
        }
    }
    quiet().await;
    for (number, (messages, _client)) in clients.iter_mut().enumerate() {
        let expected: &[usize] =
            if number % 4 == 3 { &[LIMIT, LIMIT] } else { &[LIMIT, LIMIT + 1, LIMIT, 50_000] };
        for frame in expected.iter().flat_map(|frame| [frame, frame]) {
            assert_eq!(messages.next().await.unwrap().body().len() + 15, *frame);
        }
    }
    let dropped = world.hub.dropped();
    assert_eq!((dropped.len(), dropped[0].code, dropped[0].too_large), (1, ECHO.code(), 8));
    for peer in world.hub.list(all()).unwrap() {
        let sent = peer.stats().sent;
        let refused = if peer.hello().max_message_size() == Some(LIMIT) { 4 } else { 0 };
        assert_eq!((sent.accepted, sent.dropped_too_large), (8, refused));
        assert_eq!(sent.accepted, sent.written + sent.dropped() + sent.queued);
    }
}

/// Broadcasts of one turn share their bytes. A large one between them keeps their order.
#[tokio::test(start_paused = true)]
async fn broadcasts_of_one_turn_keep_their_order() {
    async fn burst(hub: Hub) -> Result<(), SendError> {
        for frame in [100, 200, LIMIT + 1, 300, 400, LIMIT + 2, 500] {
            hub.to(all()).send(&sized(frame))?;
        }
        Ok(())
    }
    let world = World::new(Router::new().route(OTHER, burst));
    let small = ClientConfig::default().max_message_size(LIMIT);
    let (mut all, mut few) = (Vec::new(), Vec::new());
    for number in 0..10 {
        let config = if number == 5 { small.clone() } else { ClientConfig::default() };
        let (router, messages) = Router::new().messages();
        let client = world.client_with(config, router).await;
        if number == 5 { few.push((messages, client)) } else { all.push((messages, client)) }
    }
    all[0].1.send(&Message::empty(OTHER)).await.unwrap();
    for (clients, expected) in [
        (&mut all, &[100, 200, LIMIT + 1, 300, 400, LIMIT + 2, 500][..]),
        (&mut few, &[100, 200, 300, 400, 500]),
    ] {
        for (messages, _client) in clients {
            for frame in expected {
                assert_eq!(messages.next().await.unwrap().body().len() + 15, *frame);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_survey_asks_the_peers_that_accept_the_question() {
    let echo = || Router::new().route(ECHO, |message: Message| message);
    let world = World::new(Router::new());
    let small = ClientConfig::default().max_message_size(LIMIT);
    let _clients = (world.client(echo()).await, world.client_with(small, echo()).await);
    let start = Instant::now();
    let answers = world.hub.to(all()).request(&sized(LIMIT + 1)).unwrap().await;
    assert_eq!(start.elapsed(), seconds(0), "no timeout is awaited");
    assert_eq!(answers.replies().count(), 1);
    let refused = answers.responses.iter().find_map(|(_, response)| match response {
        Response::Failed(RequestError::Encode(error)) => Some(error),
        _ => None,
    });
    is_over_peer_limit(refused.expect("one peer is not asked"), LIMIT + 1);
}

/// A Python peer announces no limit, and a limit above this side's changes nothing.
#[tokio::test(start_paused = true)]
async fn without_a_lower_limit_this_sides_own_limit_counts() {
    let own = ClientConfig::default().max_message_size(2 * LIMIT);
    let with = |limit: &str| {
        format!(r#"{{"pv": "1.0", "meta": {{"veltix": {{"max_message_size": {limit}}}}}}}"#)
    };
    let hellos = [PYTHON.to_owned(), with("1e3"), with("-1"), with("18446744073709551615")];
    for hello in hellos {
        let mut server = RawServer::new(PIPE);
        let connector = server.connector.clone();
        let connecting = veltix::Client::connect_with(connector, own.clone(), Router::new());
        let (client, _raw) = tokio::join!(connecting, async {
            let mut raw = server.accept().await;
            raw.welcome(&hello).await.expect("the handshake works");
            raw
        });
        let client = client.expect("it connects");
        client.try_send(&sized(2 * LIMIT)).expect("it is accepted");
        let Err(SendError::Encode(error)) = client.try_send(&sized(2 * LIMIT + 1)) else {
            panic!("{hello}: it is sent")
        };
        let expected = EncodeError::TooLarge { size: 2 * LIMIT + 1, limit: 2 * LIMIT };
        assert_eq!(error.to_string(), expected.to_string(), "{hello}");
        assert!(error.source().is_none());
    }
}

/// A peer that accepts nothing harms itself alone: only messages without a body pass, and the others
/// are served.
#[tokio::test(start_paused = true)]
async fn a_peer_that_accepts_nothing_receives_no_body() {
    let mut scene = Scene::new(Router::new()).await;
    let mut raw = scene.world.silent().await;
    let hello = r#"{"pv": "1.0", "meta": {"veltix": {"max_message_size": 0}}}"#;
    raw.shake_hands_saying(hello).await.expect("the handshake works");
    quiet().await;
    raw.send(ECHO.code(), 5, "x").await.unwrap();
    raw.send(veltix::PING.code(), 6, "").await.unwrap();
    let pong = raw.next().await.expect("the pong");
    assert_eq!((pong.code(), pong.id().value()), (veltix::PONG.code(), 6));
    let delivery = scene.world.hub.broadcast(&Message::empty(OTHER)).unwrap();
    assert_eq!((delivery.queued, delivery.dropped, delivery.too_large), (2, 0, 0));
    let delivery = scene.world.hub.broadcast(&Message::new(OTHER, vec![1])).unwrap();
    assert_eq!((delivery.queued, delivery.dropped, delivery.too_large), (1, 1, 1));
    drop(raw);
    assert_eq!(scene.next_end().await.sent.dropped_too_large, 1);
    // A peer that has gone is not counted as one that does not accept.
    scene.check_bystander().await;
}

#[test]
fn a_message_knows_nothing_of_a_peer() {
    assert!(sized(LIMIT + 1).to_message().is_ok());
}
