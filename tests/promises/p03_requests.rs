//! Promise 3: a call completes exactly once: by its answer, its timeout, the loss of its connection
//! (at once), congestion or its drop. Only the peer that was asked can answer it. No late or
//! duplicate answer completes another call.

use std::collections::HashSet;
use std::time::Duration;

use futures::FutureExt;
use proptest::prelude::*;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use veltix::{Client, ClientConfig, Message, Peer, RequestError, RequestId, Router, ServerConfig};

use super::ends::End;
use super::{body, number, numbered, paused};
use crate::support::{Door, ECHO, OTHER, PIPE, RawPeer, RawServer, World, quiet};

const FOREVER: Duration = Duration::from_secs(1_000_000);

fn call(peer: &Peer, n: u32) -> JoinHandle<Result<Message, RequestError>> {
    tokio::spawn(peer.request(&numbered(ECHO, n)))
}

async fn answer(raw: &mut RawPeer, id: RequestId, n: u32) {
    raw.send(ECHO.code(), id.value(), body(n, 4)).await.expect("the server reads");
}

/// Returns the number in the answer to a call.
async fn answered(call: JoinHandle<Result<Message, RequestError>>) -> u32 {
    number(call.await.expect("no panic").expect("an answer").body())
}

#[test]
pub(crate) fn calls_get_their_own_answers_in_any_order() {
    paused(async {
        let world = World::new(Router::new());
        let (mut raw, peer) = world.join().await;
        let calls: Vec<_> = (0..100).map(|n| call(&peer, n)).collect();
        let mut asked = Vec::new();
        for _ in 0..100 {
            asked.push(raw.next().await.expect("a call"));
        }
        for question in asked.iter().rev() {
            answer(&mut raw, question.id(), number(question.body())).await;
        }
        for (n, call) in (0..).zip(calls) {
            assert_eq!(answered(call).await, n);
        }
    });
}

#[test]
pub(crate) fn a_late_answer_completes_no_other_call() {
    paused(async {
        let (dispatched, mut dispatches) = unbounded_channel();
        let router = Router::new().fallback(move |message: Message| dispatched.send(message));
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        let first = peer.request(&numbered(ECHO, 1)).await;
        assert!(matches!(first, Err(RequestError::Timeout { .. })), "{first:?}");
        assert_eq!(start.elapsed().as_secs(), 5);
        let late = raw.next().await.expect("the first call").id();
        let second = call(&peer, 2);
        let id = raw.next().await.expect("the second call").id();
        answer(&mut raw, late, 1).await;
        answer(&mut raw, id, 2).await;
        assert_eq!(answered(second).await, 2);
        assert_eq!(peer.stats().received.discarded_late, 1);
        assert!(dispatches.try_recv().is_err(), "an answer is never dispatched");
    });
}

#[test]
pub(crate) fn a_double_answer_completes_no_other_call() {
    paused(async {
        let world = World::new(Router::new());
        let (mut raw, peer) = world.join().await;
        let (first, second) = (call(&peer, 1), call(&peer, 2));
        let ids = [raw.next().await.expect("a call").id(), raw.next().await.expect("a call").id()];
        for (id, n) in [(ids[0], 1), (ids[0], 1), (ids[0], 9), (ids[1], 2)] {
            answer(&mut raw, id, n).await;
        }
        assert_eq!((answered(first).await, answered(second).await), (1, 2));
        assert_eq!(peer.stats().received.discarded_late, 2);
    });
}

#[test]
pub(crate) fn only_the_peer_that_was_asked_can_answer() {
    paused(async {
        let (dispatched, mut dispatches) = unbounded_channel();
        let router = Router::new().fallback(move |id: RequestId| dispatched.send(id.value()));
        let world = World::new(router);
        let (mut asked, peer) = world.join().await;
        let (mut forger, forging) = world.join().await;
        let mut call = call(&peer, 1);
        let id = asked.next().await.expect("the call").id();
        for id in 0..=u16::MAX {
            forger.send(ECHO.code(), id, "forged").await.expect("the server reads");
        }
        quiet().await;
        assert!((&mut call).now_or_never().is_none());
        let received = forging.stats().received;
        assert_eq!((received.handled, received.discarded_late), (32_769, 32_767));
        for own in 0..=32_768 {
            assert_eq!(dispatches.try_recv(), Ok(own), "the forger's own ids are messages");
        }
        answer(&mut asked, id, 1).await;
        assert_eq!(answered(call).await, 1);
    });
}

#[test]
pub(crate) fn a_lost_connection_fails_every_call_at_once() {
    for end in End::all().filter(|end| *end != End::Shutdown) {
        paused(async {
            let (told, mut tells) = unbounded_channel();
            let handler = move |peer: Peer| {
                let told = told.clone();
                async move { told.send(peer.request(&numbered(ECHO, 0)).timeout(FOREVER).await) }
            };
            let router = Router::new().route(ECHO, handler);
            let world = World::new(router);
            let (mut raw, peer) = world.join().await;
            raw.send(ECHO.code(), 0, "").await.expect("the server reads");
            let mut calls = JoinSet::new();
            for n in 0..100 {
                calls.spawn(peer.request(&numbered(ECHO, n)).timeout(FOREVER));
            }
            for _ in 0..=100 {
                raw.next().await.expect("a call");
            }
            let start = Instant::now();
            end.begin(&world, &mut raw, &peer).await;
            for ended in calls.join_all().await {
                assert!(matches!(ended, Err(RequestError::ConnectionLost)), "{end:?}: {ended:?}");
            }
            assert_eq!(start.elapsed().as_secs(), end.seconds(), "{end:?}");
            if end != End::Close {
                let ended = tells.recv().await.expect("the handler goes on");
                assert!(matches!(ended, Err(RequestError::ConnectionLost)), "{end:?}: {ended:?}");
            }
            assert_eq!(
                start.elapsed().as_secs(),
                end.seconds(),
                "{end:?}: a handler waited too long"
            );
            let after = peer.request(&numbered(ECHO, 0)).await;
            let closed = matches!(after, Err(RequestError::Closed));
            assert!(closed, "{end:?}: {after:?}");
        });
    }
}

#[test]
pub(crate) fn a_dropped_call_is_given_up() {
    paused(async {
        let world = World::new(Router::new());
        let (mut raw, peer) = world.join().await;
        let mut dropped = peer.request(&numbered(ECHO, 1));
        assert!((&mut dropped).now_or_never().is_none());
        let id = raw.next().await.expect("the call").id();
        drop(dropped);
        let next = call(&peer, 2);
        let other = raw.next().await.expect("the next call").id();
        assert_ne!(id, other);
        answer(&mut raw, id, 1).await;
        answer(&mut raw, other, 2).await;
        assert_eq!(answered(next).await, 2);
        assert_eq!(peer.stats().received.discarded_late, 1);
    });
}

#[test]
pub(crate) fn a_call_that_finds_no_room_in_time_is_never_sent() {
    paused(async {
        let config = ServerConfig::default().outbox(5, 16 << 20).write_stall(None);
        let world = World::with(config, 16, Router::new());
        let (mut raw, peer) = world.join().await;
        while peer.try_send(&numbered(OTHER, 0)).is_ok() {
            quiet().await;
        }
        let mut dropped = peer.request(&numbered(ECHO, 1));
        assert!((&mut dropped).now_or_never().is_none());
        let ended = peer.request(&numbered(ECHO, 2)).await;
        assert!(matches!(ended, Err(RequestError::Timeout { .. })), "{ended:?}");
        drop(dropped);
        raw.end();
        let got = raw.all().await;
        assert!(got.iter().all(|message| message.code() == OTHER.code()), "{got:?}");
        assert_eq!(peer.closed().await.sent.written, got.len() as u64);
    });
}

#[test]
pub(crate) fn an_answer_of_another_type_is_an_error() {
    paused(async {
        let world = World::new(Router::new());
        let (mut raw, peer) = world.join().await;
        let call = tokio::spawn(peer.request(&numbered(ECHO, 1)).expect(OTHER));
        let id = raw.next().await.expect("the call").id();
        answer(&mut raw, id, 1).await;
        let ended = call.await.expect("no panic");
        let Err(RequestError::UnexpectedReply { code, expected }) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!((code, expected), (ECHO.code(), OTHER.code()));
    });
}

/// Connects a client with only 256 ids for calls, because its server uses the others.
async fn client_with_few_ids(router: Router) -> (Client, RawPeer) {
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let config = ClientConfig::default().heartbeat(None);
    let (client, raw) = tokio::join!(Client::connect_with(connector, config, router), async {
        let mut raw = server.accept().await;
        let hello = r#"{"v": "2.0.3", "pv": "1.0", "meta": {"id_window": 32511}}"#;
        raw.welcome(hello).await.expect("the handshake works");
        raw
    });
    (client.expect("it connects"), raw)
}

#[test]
pub(crate) fn ids_run_out_at_once_and_rest_until_answered_or_a_minute() {
    paused(async {
        let (client, mut raw) = client_with_few_ids(Router::new()).await;
        let peer = client.peer();
        let start = Instant::now();
        let mut calls: Vec<_> = (0..256).map(|n| call(&peer, n)).collect();
        let mut ids = Vec::new();
        for _ in 0..256 {
            ids.push(raw.next().await.expect("a call").id());
        }
        assert!(ids.iter().all(|id| (32_512..=32_767).contains(&id.value())));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 256);
        let exhausted = |ended| matches!(ended, Err(RequestError::IdsExhausted(_)));
        assert!(exhausted(client.request(&numbered(ECHO, 0)).await));
        assert_eq!(start.elapsed(), Duration::ZERO, "it does not wait");

        answer(&mut raw, ids[7], 7).await;
        assert_eq!(answered(calls.swap_remove(7)).await, 7);
        calls.push(call(&peer, 1000));
        assert_eq!(raw.next().await.expect("a call").id(), ids[7]);
        for ended in calls {
            let ended = ended.await.expect("no panic");
            assert!(matches!(ended, Err(RequestError::Timeout { .. })), "{ended:?}");
        }
        assert!(exhausted(client.request(&numbered(ECHO, 0)).await), "they rest");
        answer(&mut raw, ids[9], 9).await;
        quiet().await;
        let freed = call(&peer, 1001);
        assert_eq!(raw.next().await.expect("a call").id(), ids[9]);
        answer(&mut raw, ids[9], 1001).await;
        assert_eq!(answered(freed).await, 1001);
        sleep(Duration::from_secs(61)).await;
        drop(call(&peer, 1002));
        assert!(ids.contains(&raw.next().await.expect("a call").id()));
    });
}

#[test]
pub(crate) fn the_answer_of_a_congested_call_completes_no_other() {
    paused(async {
        let door = Door::new();
        let router = Router::new().route(OTHER, door.handler());
        let (client, mut raw) = client_with_few_ids(router).await;
        let peer = client.peer();
        let congested = call(&peer, 1);
        let id = raw.next().await.expect("the call").id();
        let flood = tokio::spawn(async move {
            for _ in 0..100 {
                raw.send(OTHER.code(), 0, vec![0; 100_000]).await.expect("the client reads");
            }
            raw
        });
        let ended = congested.await.expect("no panic");
        assert!(matches!(ended, Err(RequestError::Congested { .. })), "{ended:?}");
        door.open(1_000_000);
        let mut raw = flood.await.expect("no panic");
        for n in 0..300 {
            let call = call(&peer, n);
            let question = raw.next().await.expect("a call");
            assert_ne!(question.id(), id, "its answer may still come");
            answer(&mut raw, question.id(), n).await;
            assert_eq!(answered(call).await, n);
        }
        answer(&mut raw, id, 1).await;
        quiet().await;
        assert_eq!(peer.stats().received.discarded_late, 1);
    });
}

/// How a call completes.
#[derive(Clone, Copy, Debug)]
enum Course {
    Answered,
    AnsweredTwice,
    Late,
    Silence,
    Dropped,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn any_course_of_calls_ends_each_of_them_once(
        courses in prop::collection::vec(
            prop::sample::select(vec![
                Course::Answered,
                Course::AnsweredTwice,
                Course::Late,
                Course::Silence,
                Course::Dropped,
            ]),
            1..40,
        )
    ) {
        paused(take_courses(&courses));
    }
}

async fn take_courses(courses: &[Course]) {
    let world = World::new(Router::new());
    let (mut raw, peer) = world.join().await;
    let (mut calls, mut late) = (Vec::new(), Vec::new());
    let mut wasted = 0;
    for (n, course) in (0..).zip(courses) {
        let call = call(&peer, n);
        let id = raw.next().await.expect("a call").id();
        match course {
            Course::Answered => answer(&mut raw, id, n).await,
            Course::AnsweredTwice => {
                answer(&mut raw, id, n).await;
                answer(&mut raw, id, n).await;
                wasted += 1;
            }
            Course::Late => late.push((id, n)),
            Course::Silence => {}
            Course::Dropped => {
                call.abort();
                late.push((id, n));
            }
        }
        sleep(Duration::from_millis(500)).await;
        calls.push((n, course, call));
    }
    sleep(Duration::from_secs(5)).await;
    wasted += late.len() as u64;
    for (id, n) in late {
        answer(&mut raw, id, n).await;
    }
    for (n, course, call) in calls {
        let ended = call.await;
        match course {
            Course::Answered | Course::AnsweredTwice => {
                assert_eq!(number(ended.expect("no panic").expect("an answer").body()), n);
            }
            Course::Late | Course::Silence => {
                let ended = ended.expect("no panic");
                assert!(matches!(ended, Err(RequestError::Timeout { .. })), "{ended:?}");
            }
            Course::Dropped => assert!(ended.expect_err("it was dropped").is_cancelled()),
        }
    }
    quiet().await;
    assert_eq!(peer.stats().received.discarded_late, wasted);
}
