//! Promise 6: `on_connect` has returned before the first message of a peer is handled. It has a
//! deadline of its own and may refuse the peer. Only afterwards is the peer listed, counted and
//! reached by broadcasts. `on_disconnect` runs once for each admitted peer, and for no other.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep};
use veltix::{
    Client, ClientConfig, CloseReason, ConnectError, Disconnected, Error, Event, Hub, Message,
    PING, PONG, Peer, Router, all, tag,
};

use super::ends::End;
use super::{check, numbered, paused};
use crate::support::{Door, ECHO, OTHER, PYTHON, RawPeer, World, frame, quiet, said};

/// Creates a router that reports each call of `on_disconnect`.
fn counting(router: Router) -> (Router, UnboundedReceiver<Disconnected>) {
    let (told, tells) = unbounded_channel();
    (router.on_disconnect(move |outcome: Disconnected| drop(told.send(outcome))), tells)
}

async fn expect_end(raw: &mut RawPeer) {
    assert!(raw.all().await.is_empty(), "nothing is sent, and the stream ends");
}

#[test]
pub(crate) fn the_first_message_is_handled_after_on_connect() {
    paused(async {
        let (connected, mut says) = unbounded_channel();
        let handled = connected.clone();
        let on_connect = move |peer: Peer| {
            let connected = connected.clone();
            async move {
                sleep(Duration::from_secs(3)).await;
                peer.ping().await?;
                connected.send("connected").expect("the test listens");
                Ok::<_, Error>(())
            }
        };
        let router = Router::new()
            .on_connect(on_connect)
            .route(ECHO, move || handled.send("handled").expect("the test listens"));
        let world = World::new(router);
        let mut raw = world.silent().await;
        raw.hear().await.expect("the server's hello");
        // The first messages arrive in one segment with the last part of the handshake.
        let hello = said(PYTHON);
        let messages = frame(ECHO.code(), 0, "").repeat(3);
        raw.write(&[hello, messages].concat()).await.expect("the server reads");
        raw.hear().await.expect("the server's ack");
        let ping = raw.next().await.expect("a ping");
        assert_eq!(ping.code(), PING.code());
        assert!(says.try_recv().is_err());
        raw.send(PONG.code(), ping.id().value(), "").await.expect("the server reads");
        for expected in ["connected", "handled", "handled", "handled"] {
            assert_eq!(says.recv().await, Some(expected));
        }
    });
}

#[test]
pub(crate) fn a_peer_is_neither_listed_nor_counted_nor_reached_before_on_connect_is_over() {
    paused(async {
        let door = Door::new();
        let (entered, mut enters) = unbounded_channel();
        let gate = door.clone();
        let on_connect = move |peer: Peer| {
            let (door, entered) = (gate.clone(), entered.clone());
            async move {
                peer.set_tag("room").expect("it can be tagged");
                entered.send(peer).expect("the test listens");
                door.pass().await;
            }
        };
        let world = World::new(Router::new().on_connect(on_connect));
        let mut events = world.hub.events();
        let mut raw = world.raw().await;
        let peer = enters.recv().await.expect("on_connect runs");
        let hub = &world.hub;
        let reached = || {
            let everybody = hub.broadcast(&numbered(OTHER, 1)).expect("it is encoded").matched;
            let room = hub.to(tag("room")).send(&numbered(OTHER, 2)).expect("encoded").matched;
            let listed = [hub.list(all()), hub.list(tag("room"))]
                .map(|list| list.expect("it is valid").len());
            let counted =
                [hub.count(all()), hub.count(tag("room"))].map(|count| count.expect("it is valid"));
            (everybody, room, listed, counted)
        };
        assert_eq!(reached(), (0, 0, [0, 0], [0, 0]));
        assert_eq!(hub.get(peer.id()), None);
        door.open(1);
        let event = events.next().await;
        assert!(matches!(event, Some(Event::Connected { .. })), "{event:?}");
        assert_eq!(reached(), (1, 1, [1, 1], [1, 1]));
        assert_eq!(hub.get(peer.id()).as_ref(), Some(&peer));
        for expected in [1, 2] {
            assert_eq!(super::number(raw.next().await.expect("a message").body()), expected);
        }
        raw.end();
        let outcome = peer.closed().await;
        check(outcome.sent, outcome.received);
        assert_eq!(reached(), (0, 0, [0, 0], [0, 0]));
    });
}

#[test]
pub(crate) fn on_connect_may_send_and_request_and_tag() {
    paused(async {
        let on_connect = |peer: Peer| async move {
            peer.try_send(&numbered(OTHER, 1))?;
            let name = peer.request(&numbered(ECHO, 2)).await?;
            peer.add_tag(("name", name.text()?))?;
            peer.send(&numbered(OTHER, 3)).await?;
            Ok::<_, Error>(())
        };
        let world = World::new(Router::new().on_connect(on_connect));
        let mut events = world.hub.events();
        let mut raw = world.raw().await;
        assert_eq!(raw.next().await.expect("a message").code(), OTHER.code());
        let question = raw.next().await.expect("a call").id();
        raw.send(ECHO.code(), question.value(), "ada").await.expect("the server reads");
        raw.next().await.expect("a message");
        assert!(matches!(events.next().await, Some(Event::Connected { .. })));
        assert_eq!(world.hub.count(tag("name").is("ada")), Ok(1));
    });
}

#[test]
pub(crate) fn a_refused_peer_is_never_listed_nor_handled_nor_missed() {
    paused(async {
        let on_connect = |peer: Peer| async move {
            peer.try_send(&numbered(OTHER, 1)).expect("room");
            quiet().await;
            Err::<(), _>("no room for you")
        };
        let (router, mut told) = counting(Router::new().on_connect(on_connect));
        let world = World::new(router.route(ECHO, || -> () { panic!("it was refused") }));
        let mut events = world.hub.events();
        let mut raw = world.raw().await;
        raw.send(ECHO.code(), 0, "").await.expect("the server reads");
        assert_eq!(raw.all().await.len(), 1, "the messages sent by on_connect are written");
        let Some(Event::Refused { peer, reason }) = events.next().await else { panic!("no event") };
        assert_eq!(reason, "no room for you");
        let outcome = peer.closed().await;
        assert_eq!(outcome.reason, CloseReason::Refused("no room for you".into()));
        check(outcome.sent, outcome.received);
        assert_eq!(outcome.received.discarded_closed, 1);
        quiet().await;
        assert!(told.try_recv().is_err(), "on_disconnect does not run for refused peers");
        assert_eq!(world.hub.handler_panics(), 0);
    });
}

#[test]
fn a_peer_that_left_before_it_was_refused_is_not_handled_either() {
    paused(async {
        let door = Door::new();
        let gate = door.clone();
        let on_connect = move || {
            let door = gate.clone();
            async move {
                door.pass().await;
                Err::<(), _>("no room for you")
            }
        };
        let (router, mut told) = counting(Router::new().on_connect(on_connect));
        let (entered, mut enters) = unbounded_channel();
        let router = router.route(ECHO, move |peer: Peer| entered.send(peer).expect("listened to"));
        let world = World::new(router);
        let mut raw = world.raw().await;
        raw.send(ECHO.code(), 0, "").await.expect("the server reads");
        raw.end();
        quiet().await;
        door.open(1);
        expect_end(&mut raw).await;
        quiet().await;
        assert!(enters.try_recv().is_err(), "it was refused");
        assert!(told.try_recv().is_err(), "on_disconnect does not run for refused peers");
    });
}

#[test]
pub(crate) fn on_connect_has_a_deadline_of_its_own() {
    paused(async {
        let stuck = std::future::pending::<()>;
        let (router, mut told) = counting(Router::new().on_connect(stuck));
        let world = World::new(router);
        let mut events = world.hub.events();
        let start = Instant::now();
        let mut raw = world.raw().await;
        expect_end(&mut raw).await;
        assert_eq!(start.elapsed().as_secs(), 10);
        let event = events.next().await;
        let Some(Event::Refused { peer, .. }) = event else { panic!("no event: {event:?}") };
        assert_eq!(peer.closed().await.reason, CloseReason::ConnectTimeout);
        quiet().await;
        assert!(told.try_recv().is_err());
    });
}

#[test]
pub(crate) fn on_connect_that_panics_refuses() {
    paused(async {
        let broken = || -> () { panic!("planned by the test") };
        let (router, mut told) = counting(Router::new().on_connect(broken));
        let world = World::new(router);
        let mut raw = world.raw().await;
        expect_end(&mut raw).await;
        assert_eq!(world.hub.handler_panics(), 1);
        quiet().await;
        assert!(told.try_recv().is_err());
    });
}

#[test]
pub(crate) fn on_disconnect_runs_once_however_the_connection_ends() {
    for end in End::all() {
        paused(async {
            let (router, mut told) = counting(Router::new());
            let world = World::new(router);
            let (mut raw, peer) = world.join().await;
            end.begin(&world, &mut raw, &peer).await;
            let outcome = told.recv().await.expect("on_disconnect runs");
            assert_eq!(outcome.reason, end.reason());
            assert_eq!(world.hub.count(all()), Ok(0), "it is no longer listed");
            sleep(Duration::from_secs(60)).await;
            assert!(told.try_recv().is_err(), "{end:?}: once");
        });
    }
}

#[test]
pub(crate) fn a_peer_that_leaves_during_on_connect_is_told_of_once() {
    for accepts in [true, false] {
        paused(async {
            let on_connect = move || async move {
                sleep(Duration::from_secs(1)).await;
                if accepts { Ok(()) } else { Err("refused") }
            };
            let (router, mut told) = counting(Router::new().on_connect(on_connect));
            let world = World::new(router);
            let mut raw = world.raw().await;
            raw.end();
            expect_end(&mut raw).await;
            sleep(Duration::from_secs(60)).await;
            assert_eq!(told.try_recv().is_ok(), accepts);
            assert!(told.try_recv().is_err());
        });
    }
}

#[test]
pub(crate) fn a_client_connects_when_its_on_connect_is_over_and_may_refuse_too() {
    paused(async {
        let world = World::new(Router::new().route(ECHO, |hub: Hub, message: Message| {
            hub.broadcast(&message).expect("it is encoded");
            message
        }));
        let greeting = |peer: Peer| async move {
            let greeted = peer.request(&numbered(ECHO, 1)).await?;
            peer.set_tag(("greeted", greeted.body().len() as i64))?;
            Ok::<_, Error>(())
        };
        let client = world.client(Router::new().on_connect(greeting)).await;
        assert!(client.is_connected() && client.peer().has_tag("greeted"));

        let (router, mut told) =
            counting(Router::new().on_connect(|| Err::<(), _>("not this one")));
        let config = ClientConfig::default();
        let refused = Client::connect_with(world.connector.clone(), config, router).await;
        let Err(ConnectError::GivenUp { reason, .. }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("not this one"), "{reason}");
        quiet().await;
        assert!(told.try_recv().is_err());
    });
}
