//! Promise 4: the handlers of a connection start in order and run one at a time. Answers and pings
//! bypass them, so a handler may await its own peer. Messages that arrive before the answer wait,
//! up to 8 MiB; beyond that the call fails at once.

use std::future::{Future as _, IntoFuture as _, poll_fn};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{block_in_place, yield_now};
use tokio::time::{Instant, sleep, timeout};
use veltix::{Message, PING, PONG, Peer, RequestError, Router, ServerConfig};

use super::{body, number, numbered, numbers, paused};
use crate::support::{Door, ECHO, OTHER, PATIENCE, PIPE, RawPeer, World, frame, quiet};

/// Uses up several times the budget that Tokio gives a task for one poll.
async fn exhaust_budget() {
    let (sender, mut receiver) = unbounded_channel();
    (0..1000).for_each(|n| sender.send(n).expect("it is open"));
    for n in 0..1000 {
        assert_eq!(receiver.recv().await, Some(n));
    }
}

/// Creates a router for `ECHO` that records the numbers of the handled messages.
fn recording(router: Router) -> (Router, UnboundedReceiver<u32>) {
    let (handled, handles) = unbounded_channel();
    (router.route(ECHO, move |body: Bytes| handled.send(number(&body))), handles)
}

async fn expect_all(handles: &mut UnboundedReceiver<u32>, count: u32) {
    for n in 0..count {
        assert_eq!(handles.recv().await, Some(n));
    }
}

/// Sends messages as fast as the server reads them.
async fn flood(raw: &mut RawPeer, count: u32, longest: usize) {
    for n in 0..count {
        let mut bytes = body(n, 4).to_vec();
        bytes.resize(longest, 0);
        raw.send(ECHO.code(), 0, bytes).await.expect("the server reads");
    }
}

#[test]
pub(crate) fn handlers_start_in_order_and_one_at_a_time_although_some_wait() {
    paused(async {
        let (said, mut says) = unbounded_channel();
        let handler = move |peer: Peer, body: Bytes| {
            let said = said.clone();
            async move {
                let n = number(&body);
                said.send(("start", n)).expect("the test listens");
                match n % 6 {
                    1 => yield_now().await,
                    2 => sleep(Duration::from_millis(10)).await,
                    3 => exhaust_budget().await,
                    4 => drop(peer.ping().await.expect("a pong")),
                    _ => {}
                }
                said.send(("end", n)).expect("the test listens");
            }
        };
        let world = World::new(Router::new().route(ECHO, handler));
        let client = world.client(Router::new()).await;
        for n in 0..60 {
            client.send(&numbered(ECHO, n)).await.expect("it is connected");
        }
        for n in 0..60 {
            assert_eq!(says.recv().await, Some(("start", n)));
            assert_eq!(says.recv().await, Some(("end", n)));
        }
    });
}

#[test]
pub(crate) fn a_spent_budget_lets_nobody_overtake() {
    paused(async {
        let (handled, mut handles) = unbounded_channel();
        let slow = handled.clone();
        let router = Router::new()
            .route(OTHER, move |body: Bytes| {
                let slow = slow.clone();
                async move {
                    exhaust_budget().await;
                    slow.send(number(&body))
                }
            })
            .route(ECHO, move |body: Bytes| handled.send(number(&body)));
        let world = World::new(router);
        let mut raw = world.raw().await;
        for n in 0..100 {
            let code = if n % 10 == 0 { OTHER } else { ECHO };
            raw.send(code.code(), 0, body(n, 4)).await.expect("the server reads");
        }
        expect_all(&mut handles, 100).await;
    });
}

#[test]
pub(crate) fn a_reply_without_room_makes_serial_handlers_wait() {
    paused(async {
        let (handled, mut handles) = unbounded_channel();
        let handler = move |body: Bytes| {
            handled.send(number(&body)).expect("the test listens");
            body
        };
        let config = ServerConfig::default().outbox(3, 16 << 20);
        let world = World::with(config, 200, Router::new().route(ECHO, handler));
        let (mut raw, peer) = world.join().await;
        for n in 0..30 {
            raw.send(ECHO.code(), n, body(n.into(), 4)).await.expect("the server reads");
        }
        quiet().await;
        assert!(handles.len() < 20, "{} were handled", handles.len());
        assert!(peer.stats().sent.queued <= 3);
        for n in 0..30 {
            assert_eq!(number(raw.next().await.expect("a reply").body()), n);
        }
        expect_all(&mut handles, 30).await;
    });
}

#[test]
pub(crate) fn answers_and_pings_bypass_a_stuck_handler() {
    paused(async {
        let door = Door::new();
        let world = World::new(Router::new().route(ECHO, door.handler()));
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        raw.send(ECHO.code(), 0, "").await.expect("the server reads");
        raw.send(PING.code(), 7, "").await.expect("the server reads");
        let pong = raw.next().await.expect("a pong");
        assert_eq!((pong.code(), pong.id().value()), (PONG.code(), 7));
        let call = tokio::spawn(peer.request(&numbered(OTHER, 1)));
        let ping = tokio::spawn(async move { peer.ping().await });
        for answer in [OTHER, PONG] {
            let question = raw.next().await.expect("a question");
            let id = question.id().value();
            raw.send(answer.code(), id, "").await.expect("the server reads");
        }
        call.await.expect("no panic").expect("an answer");
        ping.await.expect("no panic").expect("a pong");
        assert_eq!(start.elapsed(), Duration::ZERO, "nothing waited for the handler");
        door.open(1);
    });
}

#[test]
pub(crate) fn a_handler_may_await_an_answer_that_stands_behind_a_full_inbox() {
    paused(async {
        let ask = |peer: Peer| async move { peer.request(&numbered(OTHER, 1)).await };
        let (router, mut handles) = recording(Router::new().route(OTHER, ask));
        let world = World::new(router);
        let mut raw = world.raw().await;
        raw.send(OTHER.code(), 1, "").await.expect("the server reads");
        let question = raw.next().await.expect("a question").id();
        flood(&mut raw, 500, 10_000).await;
        raw.send(OTHER.code(), question.value(), "answer").await.expect("the server reads");
        assert_eq!(raw.next().await.expect("a reply").text().expect("text"), "answer");
        expect_all(&mut handles, 500).await;
    });
}

#[test]
pub(crate) fn handlers_of_both_sides_await_each_other_at_the_same_time() {
    paused(async {
        // `ECHO` needs the peer's connection, `OTHER` its `ECHO` handler.
        let router = || {
            let echo = |peer: Peer, body: Bytes| async move { peer.ping().await.map(|_| body) };
            let relay = |peer: Peer, body: Bytes| async move {
                peer.request(&Message::new(ECHO, body)).await
            };
            Router::new().route(ECHO, echo).route(OTHER, relay)
        };
        let world = World::new(router());
        let client = world.client(router()).await;
        let peer = world.newest();
        let start = Instant::now();
        for n in 0..20 {
            let (up, down) =
                tokio::join!(client.request(&numbered(ECHO, n)), peer.request(&numbered(ECHO, n)));
            assert_eq!(number(up.expect("an answer").body()), n);
            assert_eq!(number(down.expect("an answer").body()), n);
            for asked in [client.peer(), peer.clone()] {
                let answer = asked.request(&numbered(OTHER, n)).await.expect("an answer");
                assert_eq!(number(answer.body()), n);
            }
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
}

/// Both sides handle one message at a time, so two handlers cannot both wait for the next handler of the
/// other side: a timeout ends the wait.
#[test]
pub(crate) fn handlers_that_block_each_other_are_freed_by_their_timeouts() {
    paused(async {
        let (told, mut tells) = unbounded_channel();
        let router = || {
            let told = told.clone();
            let ask = move |peer: Peer| {
                let told = told.clone();
                async move { told.send(peer.request(&numbered(ECHO, 0)).await) }
            };
            Router::new().route(OTHER, ask).route(ECHO, |body: Bytes| body)
        };
        let world = World::new(router());
        let client = world.client(router()).await;
        let start = Instant::now();
        client.try_send(&numbered(OTHER, 0)).expect("room");
        world.newest().try_send(&numbered(OTHER, 0)).expect("room");
        let first = tells.recv().await.expect("the first call completes");
        assert!(matches!(first, Err(RequestError::Timeout { .. })), "{first:?}");
        // The next message of that side is handled now, so the other call may be answered at once.
        let _ = tells.recv().await.expect("the other call completes");
        assert_eq!(start.elapsed().as_secs(), 5);
        client.request(&numbered(ECHO, 1)).await.expect("both handlers have returned");
    });
}

#[test]
pub(crate) fn a_call_behind_more_than_eight_mebibytes_fails_at_once() {
    paused(async {
        const LENGTH: usize = 10_000;
        let (told, mut tells) = unbounded_channel();
        let ask = move |peer: Peer| {
            let told = told.clone();
            async move {
                let ended = peer.request(&numbered(OTHER, 1)).await;
                told.send((ended, peer.stats().received.waiting))
            }
        };
        let (router, mut handles) = recording(Router::new().route(OTHER, ask));
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        raw.send(OTHER.code(), 1, "").await.expect("the server reads");
        let question = raw.next().await.expect("a question").id();
        flood(&mut raw, 1000, LENGTH).await;
        raw.send(OTHER.code(), question.value(), "late").await.expect("the server reads");
        let (ended, waiting) = tells.recv().await.expect("the handler goes on");
        assert!(matches!(ended, Err(RequestError::Congested { .. })), "{ended:?}");
        assert!(waiting as usize * LENGTH <= 9 << 20, "{waiting} messages were kept");
        assert_eq!(start.elapsed(), Duration::ZERO);
        expect_all(&mut handles, 1000).await;
        quiet().await;
        assert_eq!(peer.stats().received.discarded_late, 1);
    });
}

#[test]
pub(crate) fn without_a_call_reading_pauses_at_the_inbox_limits() {
    for (length, received) in [(4, 65), (100_000, 12)] {
        paused(async {
            let door = Door::new();
            let (handled, mut handles) = unbounded_channel();
            let waiting = door.clone();
            let handler = move |body: Bytes| {
                let (door, handled) = (waiting.clone(), handled.clone());
                async move {
                    door.pass().await;
                    handled.send(number(&body))
                }
            };
            let world =
                World::with(ServerConfig::default(), PIPE, Router::new().route(ECHO, handler));
            let (mut raw, peer) = world.join().await;
            let flooding = tokio::spawn(async move {
                flood(&mut raw, 200, length).await;
                raw
            });
            quiet().await;
            assert_eq!(peer.stats().received.received, received, "one runs, the others wait");
            door.open(1_000_000);
            let mut raw = flooding.await.expect("no panic");
            expect_all(&mut handles, 200).await;
            raw.end();
            assert_eq!(numbers(&raw.all().await), [0; 0]);
        });
    }
}

/// Messages that wait when a pause begins keep no read buffer, although the pause begins between
/// two turns: a large message of the same read is then the only user of its buffer.
#[test]
pub(crate) fn what_is_left_when_a_call_ends_between_two_turns_keeps_no_read_buffer() {
    paused(async {
        let door = Door::new();
        let (tell, mut told) = unbounded_channel();
        let waiting = door.clone();
        let handler = move |message: Message| {
            let (door, body) = (waiting.clone(), message.into_body());
            tell.send((body.len(), body.is_unique())).expect("the test listens");
            drop(body);
            async move { door.pass().await }
        };
        let config = ServerConfig::default().inbox(1, 1 << 20);
        let world = World::with(config, PIPE, Router::new().route(ECHO, handler));
        let (mut raw, peer) = world.join().await;
        let small = frame(ECHO.code(), 1, "");
        raw.write(&[&small[..], &small].concat()).await.expect("the server reads");
        quiet().await;
        // One handler runs and one message waits, so the connection reads only while its peer is
        // asked for an answer. The turn that reads ends because of its many pongs.
        let mut burst = frame(ECHO.code(), 1, vec![0; 20_000]).to_vec();
        (0..1000).for_each(|_| burst.extend_from_slice(&frame(PING.code(), 1, "")));
        raw.write(&burst).await.expect("there is room");
        let asker = peer.clone();
        let asked = tokio::spawn(async move {
            let mut call = Box::pin(asker.request(&Message::empty(OTHER)).into_future());
            let mut asks = true;
            // This task is polled again after the connection's task, and before the next turn of
            // that task.
            poll_fn(|cx| {
                assert!(call.as_mut().poll(cx).is_pending(), "nobody answers");
                cx.waker().wake_by_ref();
                if std::mem::take(&mut asks) { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
        });
        asked.await.expect("no panic");
        quiet().await;
        let received = peer.stats().received.received;
        assert!((4..1000).contains(&received), "some pings were not read: {received}");
        // Another connection now uses the read buffers of the thread.
        let (mut other, _) = world.join().await;
        other.send(PING.code(), 1, "").await.expect("the server reads");
        assert_eq!(other.next().await.expect("a pong").code(), PONG.code());
        door.open(2);
        told.recv().await.expect("the first");
        told.recv().await.expect("the second");
        assert_eq!(told.recv().await, Some((20_000, true)));
    });
}

/// A connection that yields with more to read is woken by its worker. A task that blocks the
/// worker's thread with `block_in_place` hands such wake-ups over to another worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_blocks_in_place_holds_no_connection_that_has_given_way() {
    const MESSAGES: u32 = 3_000;
    let (begun, mut has_begun) = unbounded_channel();
    let (done, is_done) = std::sync::mpsc::channel();
    // The first message wakes this task, which runs on the same worker after that message's batch.
    let blocking = tokio::spawn(async move {
        has_begun.recv().await.expect("the first is handled");
        block_in_place(|| is_done.recv()).expect("the last is handled");
    });
    let handler = move |body: Bytes| match number(&body) {
        0 => begun.send(()).expect("the task waits"),
        n if n == MESSAGES - 1 => done.send(()).expect("the task waits"),
        _ => {}
    };
    let world = World::new(Router::new().route(ECHO, handler));
    let mut raw = world.raw().await;
    let frames = (0..MESSAGES).flat_map(|n| frame(ECHO.code(), 1, body(n, 4)));
    raw.write(&frames.collect::<Vec<_>>()).await.expect("there is room");
    timeout(PATIENCE, blocking).await.expect("it goes on").expect("no panic");
}
