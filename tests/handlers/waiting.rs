//! Handlers that wait on their thread for a call: with `SocketCore::Threading`, and on the default core.
//! Threads do not use the paused clock.

use std::future::Future;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use futures::executor::block_on;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};
use veltix::handler::Handler;
use veltix::request::Response;
use veltix::{
    BoxError, Client, CloseReason, Event, EventStream, Hub, Message, Peer, RequestError, Router,
    SendError, ServerConfig, SocketCore, Text, all,
};

use super::THIRD;
use crate::promises::{check, numbered};
use crate::support::{ECHO, OTHER, PATIENCE, PIPE, World, frame, until};

/// A handler's own time limit, and a limit within which each test's wait has to end.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

fn threading() -> ServerConfig {
    ServerConfig::default().socket_core(SocketCore::Threading)
}

async fn soon<T>(wait: impl Future<Output = T>) -> T {
    timeout(LONG, wait).await.expect("it ends in time")
}

/// Returns the next peer that the server lists. On several threads that is later than the client's
/// own connect.
async fn next_peer(events: &mut EventStream) -> Peer {
    let connected = |event| match event {
        Event::Connected { peer } => Some(peer),
        _ => None,
    };
    soon(until(events, connected)).await
}

/// Creates a handler of `OTHER` that passes the result of `ask` on.
fn asking<T: Send + 'static>(
    ask: impl Fn(Peer) -> T + Clone + Send + Sync + 'static,
) -> (Router, UnboundedReceiver<T>) {
    let (tell, told) = unbounded_channel();
    let router = Router::new().route(ECHO, |body: Bytes| body).route(OTHER, move |peer: Peer| {
        tell.send(ask(peer)).expect("the test listens");
    });
    (router, told)
}

/// A plain handler that blocks its thread until the test lets it go on.
struct Blocked {
    begun: UnboundedReceiver<()>,
    go_on: mpsc::Sender<()>,
}

fn blocking() -> (Router, Blocked) {
    let (tell, begun) = unbounded_channel();
    let (go_on, wait) = mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    let block = move || {
        tell.send(()).expect("the test listens");
        let _ = wait.lock().expect("nobody panics").recv_timeout(PATIENCE);
    };
    let router = Router::new().route(ECHO, |body: Bytes| body).route(THIRD, block);
    (router, Blocked { begun, go_on })
}

/// Client handlers of `ECHO` that answer, and of `OTHER` that never do.
fn answering() -> Router {
    Router::new()
        .route(ECHO, |body: Bytes| body)
        .route(OTHER, std::future::pending::<()>.concurrent(8))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_of_handlers_may_wait_for_its_own_peer() {
    let (router, mut told) = asking(|peer: Peer| {
        let answer = block_on(peer.request(&numbered(ECHO, 7)));
        let pong = block_on(peer.ping());
        let runtime = tokio::runtime::Handle::current();
        let again = runtime.block_on(peer.request(&numbered(ECHO, 7)));
        let late = block_on(peer.request(&numbered(OTHER, 7)).timeout(SHORT));
        (answer, pong, late, again)
    });
    let world = World::with(threading(), PIPE, router);
    let client = world.client(answering()).await;
    client.send(&Message::empty(OTHER)).await.unwrap();
    let (answer, pong, late, again) = soon(told.recv()).await.unwrap();
    assert_eq!(answer.unwrap().body(), numbered(ECHO, 7).body());
    pong.unwrap();
    assert!(matches!(late, Err(RequestError::Timeout { after: SHORT })), "{late:?}");
    again.unwrap();
    soon(client.close()).await;
    soon(world.hub.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn while_a_handler_blocks_its_thread_the_connection_goes_on() {
    let (router, mut blocked) = blocking();
    let config = threading().outbox(4, 1 << 20).max_message_size(1 << 20).inbox(4, 1 << 20);
    let world = World::with(config, PIPE, router);
    let (tell, mut heard) = unbounded_channel();
    let router = answering()
        .route(THIRD, move |body: Bytes| tell.send(body.len()).expect("the test listens"));
    let mut events = world.hub.events();
    let client = world.client(router).await;
    let peer = next_peer(&mut events).await;
    client.send(&Message::empty(THIRD)).await.unwrap();
    soon(blocked.begun.recv()).await.unwrap();
    // Answers to calls from elsewhere, their deadlines, and pings.
    soon(peer.request(&numbered(ECHO, 1))).await.unwrap();
    let start = Instant::now();
    let late = soon(peer.request(&numbered(OTHER, 1)).timeout(SHORT)).await;
    assert!(matches!(late, Err(RequestError::Timeout { .. })), "{late:?}");
    assert!(start.elapsed() < 10 * SHORT, "{:?}", start.elapsed());
    soon(client.ping()).await.unwrap();
    // Frames leave although the outbox holds four.
    for _ in 0..100 {
        soon(peer.send(&Message::new(THIRD, vec![0; 1_000]))).await.unwrap();
    }
    for _ in 0..100 {
        assert_eq!(soon(heard.recv()).await, Some(1_000));
    }
    // Messages wait behind the blocked handler, as many as the inbox holds.
    let answer = tokio::spawn(client.request(&numbered(ECHO, 2)).timeout(PATIENCE));
    blocked.go_on.send(()).unwrap();
    assert_eq!(soon(answer).await.unwrap().unwrap().body(), numbered(ECHO, 2).body());
    let outcome = soon(client.close()).await;
    check(outcome.sent, outcome.received);
    soon(world.hub.shutdown()).await;
}

/// A handler that parks its thread takes the wake of another call on the same thread away.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_that_is_woken_while_another_handler_parks_the_thread_goes_on() {
    let (router, mut blocked) = blocking();
    let (notify, (tell, mut waits)) = (Arc::new(Notify::new()), unbounded_channel());
    let wait = {
        let notify = Arc::clone(&notify);
        move |body: Bytes| {
            let (notify, tell) = (Arc::clone(&notify), tell.clone());
            async move {
                tell.send(()).expect("the test listens");
                notify.notified().await;
                body
            }
        }
    };
    let world = World::with(threading(), PIPE, router.route(OTHER, wait.concurrent(8)));
    let client = world.client(Router::new()).await;
    let answer = tokio::spawn(client.request(&numbered(OTHER, 1)).timeout(PATIENCE));
    soon(waits.recv()).await.unwrap();
    client.send(&Message::empty(THIRD)).await.unwrap();
    soon(blocked.begun.recv()).await.unwrap();
    // Otherwise the wake may come before the handler parks the thread.
    tokio::time::sleep(SHORT).await;
    notify.notify_one();
    tokio::time::sleep(SHORT).await;
    blocked.go_on.send(()).unwrap();
    assert_eq!(soon(answer).await.unwrap().unwrap().body(), numbered(OTHER, 1).body());
    soon(world.hub.shutdown()).await;
}

/// The task of the connection flushes the outboxes that a handler has filled, and must not wait for the
/// handler's end. After that task, their own tasks do.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_handler_sends_before_it_blocks_its_thread_leaves_at_once() {
    let (tell, mut begun) = unbounded_channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let router = Router::new()
        .route(THIRD, move |hub: Hub| {
            for number in 0..20 {
                hub.broadcast(&numbered(OTHER, number)).expect("it runs");
            }
            tell.send(()).expect("the test listens");
            let _ = wait.lock().expect("nobody panics").recv_timeout(LONG);
            // The connection has ended by now.
            hub.broadcast(&numbered(OTHER, 20)).expect("it runs");
        })
        .on_disconnect(|hub: Hub| drop(hub.broadcast(&numbered(OTHER, 21))));
    let world = World::with(threading().drain_timeout(SHORT), PIPE, router);
    let (tell, mut heard) = unbounded_channel();
    let hearing = || {
        let tell = tell.clone();
        Router::new().route(OTHER, move |body: Bytes| tell.send(body).expect("the test listens"))
    };
    let mut events = world.hub.events();
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(world.client(hearing()).await);
        next_peer(&mut events).await;
    }
    let blocked = world.client(Router::new().route(OTHER, || ())).await;
    next_peer(&mut events).await;
    blocked.send(&Message::empty(THIRD)).await.unwrap();
    soon(begun.recv()).await.unwrap();
    for _ in 0..20 * others.len() {
        soon(heard.recv()).await.unwrap();
    }
    soon(blocked.close()).await;
    for _ in &others {
        assert_eq!(soon(heard.recv()).await, Some(numbered(OTHER, 21).into_body()));
    }
    go_on.send(()).unwrap();
    for _ in &others {
        assert_eq!(soon(heard.recv()).await, Some(numbered(OTHER, 20).into_body()));
    }
    soon(world.hub.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_leaves_a_blocked_thread_alone_and_reports_it() {
    let (router, mut blocked) = blocking();
    let (left, mut leaves) = unbounded_channel();
    let router = router.on_disconnect(move || left.send(()).expect("the test listens"));
    let world = World::with(threading().drain_timeout(SHORT), PIPE, router);
    let stuck = world.client(Router::new()).await;
    let other = world.client(Router::new()).await;
    soon(other.request(&Message::empty(ECHO))).await.unwrap();
    stuck.send(&Message::empty(THIRD)).await.unwrap();
    stuck.send(&Message::empty(THIRD)).await.unwrap();
    soon(blocked.begun.recv()).await.unwrap();
    let report = soon(world.hub.shutdown()).await;
    assert_eq!((report.connections, report.aborted_handlers), (2, 1));
    assert_eq!((report.blocked_threads, report.complete), (1, false));
    assert!(report.took < 20 * SHORT, "{report:?}");
    // `on_disconnect` runs for each of them, on another thread if the first one is blocked.
    for _ in 0..2 {
        soon(leaves.recv()).await.unwrap();
    }
    drop(blocked.go_on);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_handler_blocks_keeps_its_place_until_the_handler_returns() {
    let (router, mut blocked) = blocking();
    let world = World::with(threading().max_connections(1), PIPE, router);
    let mut events = world.hub.events();
    let client = world.client(Router::new()).await;
    let peer = next_peer(&mut events).await;
    client.send(&Message::empty(THIRD)).await.unwrap();
    soon(blocked.begun.recv()).await.unwrap();
    let outcome = soon(peer.close()).await;
    assert_eq!((outcome.reason, outcome.received.discarded_closed), (CloseReason::Closed, 1));
    assert!(world.hub.is_full());
    blocked.go_on.send(()).unwrap();
    soon(async {
        while world.hub.is_full() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(world.client(Router::new()).await.ping()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn handlers_that_come_and_go_block_their_thread_alone() {
    let connect = |peer: Peer| block_on(peer.request(&numbered(ECHO, 1))).map(drop);
    let (left, mut leaves) = unbounded_channel();
    let leave = move |peer: Peer, hub: Hub| {
        let others = hub.list(all()).expect("it is valid");
        let pings: Vec<_> = others.iter().map(|other| block_on(other.ping()).is_ok()).collect();
        left.send((peer.id(), pings)).expect("the test listens");
    };
    let world =
        World::with(threading(), PIPE, Router::new().on_connect(connect).on_disconnect(leave));
    let mut events = world.hub.events();
    let one = world.client(answering()).await;
    next_peer(&mut events).await;
    let two = world.client(answering()).await;
    let id = next_peer(&mut events).await.id();
    soon(two.close()).await;
    assert_eq!(soon(leaves.recv()).await, Some((id, vec![true])));
    drop(one);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_keeps_the_promises_of_handlers() {
    let (log, mut logged) = unbounded_channel();
    let waits = |body: Bytes| async move {
        tokio::task::yield_now().await;
        body
    };
    let router = Router::new()
        .route(ECHO, waits)
        .route(OTHER, move |body: Bytes| {
            assert!(body.len() != 3, "planned by the test");
            log.send(body.len()).expect("the test listens");
        })
        .fallback(|Text(text): Text| async move { Err::<(), _>(BoxError::from(text)) });
    let world = World::with(threading(), PIPE, router);
    let mut events = world.hub.events();
    let mut raw = world.raw().await;
    let peer = next_peer(&mut events).await;
    for number in 0..300_u16 {
        raw.send(ECHO.code(), number, number.to_be_bytes().to_vec()).await.unwrap();
        raw.send(OTHER.code(), 0, vec![0; 1]).await.unwrap();
        let reply = raw.next().await.unwrap();
        assert_eq!(reply.body()[..], number.to_be_bytes());
    }
    raw.send(THIRD.code(), 0, "an error").await.unwrap();
    let failed = |event| match event {
        Event::HandlerFailed { error, .. } => Some(error),
        _ => None,
    };
    assert_eq!(soon(until(&mut events, failed)).await, "an error");
    // One write: the panic ends the reading.
    let both = [3, 4].map(|length| frame(OTHER.code(), 0, vec![0; length]));
    raw.write(&both.concat()).await.unwrap();
    let outcome = soon(peer.closed()).await;
    assert_eq!(outcome.reason, CloseReason::HandlerPanicked);
    assert_eq!((outcome.received.handled, outcome.received.waiting), (603, 0));
    check(outcome.sent, outcome.received);
    let lengths: Vec<_> = std::iter::from_fn(|| logged.try_recv().ok()).collect();
    assert_eq!((lengths.len(), lengths.last()), (301, Some(&4)));
}

/// Checks an error of a plain handler on the default core, within a time that no timeout explains.
async fn refused_at_once<T: Send + std::fmt::Debug + 'static>(
    ask: impl Fn(Peer) -> T + Clone + Send + Sync + 'static,
    is_refused: impl Fn(&T) -> bool,
) {
    // Layers are futures around it, which may wait.
    for layered in [false, true] {
        let (mut router, mut told) = asking(ask.clone());
        if layered {
            router = router.layer(tower::layer::util::Identity::new());
        }
        let world = World::new(router);
        let client = world.client(Router::new()).await;
        client.send(&Message::empty(OTHER)).await.unwrap();
        let result = soon(told.recv()).await.unwrap();
        assert!(is_refused(&result), "{result:?}");
        // The connection goes on.
        soon(client.request(&Message::empty(ECHO))).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_handler_on_the_default_core_is_told_to_use_on_blocking() {
    let start = Instant::now();
    let is_refused = |error: &RequestError| {
        matches!(error, RequestError::InPlainHandler) && error.to_string().contains("on_blocking")
    };
    let request = |peer: Peer| block_on(peer.request(&numbered(ECHO, 1))).unwrap_err();
    refused_at_once(request, is_refused).await;
    refused_at_once(|peer: Peer| block_on(peer.ping()).unwrap_err(), is_refused).await;
    let send = |peer: Peer| {
        // More than the outbox holds.
        (0..2_000).find_map(|_| block_on(peer.send(&Message::new(THIRD, vec![0; 10_000]))).err())
    };
    refused_at_once(send, |error| matches!(error, Some(SendError::InPlainHandler))).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A plain handler may close its own connection. It cannot wait for the end.
#[tokio::test(start_paused = true)]
async fn a_close_in_a_plain_handler_is_ready_at_once() {
    let (router, mut told) = asking(|peer: Peer| block_on(peer.close()));
    let world = World::new(router);
    let (mut raw, peer) = world.join().await;
    raw.send(OTHER.code(), 0, "").await.unwrap();
    let so_far = soon(told.recv()).await.unwrap();
    assert_eq!((so_far.reason, so_far.received.waiting), (CloseReason::Closed, 1));
    let outcome = peer.closed().await;
    assert_eq!((outcome.reason, outcome.received.handled), (CloseReason::Closed, 1));
}

#[tokio::test(start_paused = true)]
async fn a_survey_in_a_plain_handler_fails_for_each_peer() {
    let (tell, mut told) = unbounded_channel();
    let survey = move |hub: Hub| {
        let mut survey = hub.to(all()).request(&numbered(ECHO, 1)).expect("it is valid");
        while let Some((_, response)) = block_on(survey.next()) {
            tell.send(response).expect("the test listens");
        }
    };
    let world = World::new(Router::new().route(OTHER, survey));
    let client = world.client(Router::new()).await;
    client.send(&Message::empty(OTHER)).await.unwrap();
    let response = soon(told.recv()).await.unwrap();
    let refused = matches!(response, Response::Failed(RequestError::InPlainHandler));
    assert!(refused, "{response:?}");
}

/// The call has a deadline of its own, which holds although the task of the connection is held up: for
/// the handler that blocks, and for a call from elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_ends_at_its_deadline_although_the_connection_s_task_is_blocked() {
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let (begin, mut begun) = unbounded_channel();
    let handler = move |peer: Peer| {
        let (tell, begin) = (Arc::clone(&tell), begin.clone());
        async move {
            begin.send(()).expect("the test listens");
            let start = Instant::now();
            let late = block_on(peer.request(&numbered(ECHO, 1)).timeout(2 * SHORT));
            let tell = tell.lock().expect("nobody panics").take();
            drop(tell.map(|tell| tell.send((late, start.elapsed()))));
        }
    };
    let world = World::new(Router::new().route(OTHER, handler));
    let mut events = world.hub.events();
    let client: Client = world.client(answering()).await;
    let peer = next_peer(&mut events).await;
    client.send(&Message::empty(OTHER)).await.unwrap();
    soon(begun.recv()).await.unwrap();
    let start = Instant::now();
    let elsewhere = soon(peer.request(&numbered(OTHER, 1)).timeout(SHORT / 3)).await;
    assert!(matches!(elsewhere, Err(RequestError::Timeout { .. })), "{elsewhere:?}");
    assert!(start.elapsed() < SHORT, "{:?}", start.elapsed());
    let (late, took) = soon(told).await.unwrap();
    assert!(matches!(late, Err(RequestError::Timeout { .. })), "{late:?}");
    assert!(took < 20 * SHORT, "{took:?}");
}
