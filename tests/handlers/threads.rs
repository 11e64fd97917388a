//! Threads outside the runtime: every public call works there, and blocking handlers are inside.

use std::future::{Future, IntoFuture};
use std::thread;

use futures::{FutureExt, executor};
use tokio::runtime::{Builder, Handle};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, advance, sleep, timeout};
use veltix::presence::WatchEvent;
use veltix::request::{Response, SurveyStatus};
use veltix::{
    Client, ClientConfig, ClientStatus, CloseReason, Event, Hub, Message, Peer, Router, SendError,
    Server, ServerConfig, SocketCore, all, tag,
};

use super::seconds;
use super::survey::{answering, question};
use crate::support::{ECHO, OTHER, PATIENCE, PIPE, World};

/// Drives a future without a runtime.
fn block_on<F: IntoFuture>(future: F) -> F::Output {
    executor::block_on(future.into_future())
}

/// Runs a function on a plain thread, which has no runtime, while the test's runtime goes on. Its clock
/// stands still meanwhile.
async fn on_plain_thread<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> R {
    let joined = spawn_blocking(|| {
        let outside = move || {
            assert!(Handle::try_current().is_err(), "the thread has no runtime");
            run()
        };
        thread::spawn(outside).join().expect("the calls do not panic")
    });
    joined.await.expect("the thread is joined")
}

/// Runs a test on a paused clock that is ahead of that of threads without a runtime.
fn ahead(test: impl Future<Output = ()>) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        advance(seconds(3_600)).await;
        timeout(PATIENCE, test).await.expect("the test ends");
    });
}

/// Makes every call of a hub and its peers that needs no end of a connection. The peer echoes.
fn calls(hub: &Hub, peer: &Peer) {
    let ask = Message::from_text(ECHO, "hello");
    let answers = block_on(hub.to(all()).request(&ask).unwrap());
    assert_eq!((answers.is_enough(), answers.replies().count()), (true, 1));
    let mut survey = hub.to(all()).request(&ask).unwrap().timeout(seconds(60));
    let (asked, response) = block_on(survey.next()).expect("the peer responds");
    assert!(asked == *peer && matches!(response, Response::Reply(_)), "{response:?}");
    assert!(block_on(survey.next()).is_none());
    assert!(block_on(hub.to(tag("nobody")).request(&ask).unwrap()).is_enough());
    // A survey that is dropped in between gives its calls up.
    let mut survey = hub.to(all()).request(&ask).unwrap().quorum(1);
    let _ = survey.next().now_or_never();
    drop(survey);

    assert_eq!(block_on(peer.request(&ask)).unwrap().text().unwrap(), "hello");
    block_on(peer.ping()).unwrap();
    let _ = peer.request(&ask).now_or_never();
    block_on(peer.send(&ask)).unwrap();
    peer.try_send(&ask).unwrap();
    assert_eq!(hub.broadcast(&ask).unwrap().queued, 1);
    assert_eq!(hub.to(all()).except(peer).send(&ask).unwrap().matched, 0);

    let mut watch = hub.watch(tag("room")).start().unwrap();
    assert_eq!(block_on(watch.next()), Some(WatchEvent::Reset(Vec::new())));
    let mut events = hub.events();
    peer.set_tag(("room", "lobby")).unwrap();
    let entered = block_on(watch.next());
    assert!(matches!(&entered, Some(WatchEvent::Entered(member)) if member.peer == peer.id()));
    assert_eq!(hub.tag(all(), ("level", 2)).unwrap(), 1);
    assert_eq!((hub.count(all()).unwrap(), hub.list(all()).unwrap().len()), (1, 1));
    assert_eq!(hub.get(peer.id()).as_ref(), Some(peer));
    assert!(events.next().now_or_never().is_none() && !hub.is_full());
    drop((watch, events));
}

/// Makes every call of a client that leaves it open.
fn client_calls(client: &Client) {
    let ask = Message::from_text(OTHER, "hello");
    assert_eq!(block_on(client.connected()).unwrap(), client.peer());
    assert_eq!(block_on(client.request(&ask)).unwrap().text().unwrap(), "hello");
    block_on(client.ping()).unwrap();
    block_on(client.send(&ask)).unwrap();
    client.try_send(&ask).unwrap();
    client.stop_retry();
    client.retry(1);
    assert!(client.is_connected());
    assert_eq!(*client.status().borrow(), ClientStatus::Connected);
}

fn echo() -> Router {
    let body = |message: Message| message;
    Router::new().route(ECHO, body).route(OTHER, body)
}

#[test]
fn every_call_works_on_a_thread_without_a_runtime() {
    ahead(async {
        let world = World::new(echo());
        // The server's peer answers calls of the server, and echoes no plain messages.
        let client = world.client(echo()).await;
        let (hub, peer) = (world.hub.clone(), world.newest());
        let client = on_plain_thread(move || {
            calls(&hub, &peer);
            client_calls(&client);
            client
        });
        let client = client.await;
        // A second client ends by a drop, and the first by its own call.
        let second = world.client(echo()).await;
        let left = world.newest();
        on_plain_thread(move || drop(second)).await;
        assert_eq!(left.closed().await.reason, CloseReason::PeerClosed);
        let ended = on_plain_thread(move || block_on(client.close())).await;
        assert_eq!(ended.reason, CloseReason::Closed);
        // The server closes the third, and then ends.
        let third = world.client(echo()).await;
        let (hub, peer) = (world.hub.clone(), world.newest());
        let ended = on_plain_thread(move || {
            assert_eq!(hub.close(tag("nobody"), "for no reason").unwrap(), 0);
            block_on(peer.close())
        });
        assert_eq!(ended.await.reason, CloseReason::Closed);
        let hub = world.hub.clone();
        let report = on_plain_thread(move || block_on(hub.shutdown())).await;
        assert!(report.complete);
        world.stopped().await;
        drop(third);
    });
}

/// Deadlines count on the clock of the runtime, whatever the clock of the thread says.
#[test]
fn deadlines_of_other_threads_count_on_the_clock_of_the_runtime() {
    ahead(async {
        let world = World::new(Router::new());
        let (_raw, peer) = world.join().await;
        let start = Instant::now();
        let (hub, asked) = (world.hub.clone(), peer.clone());
        let (mut survey, mut call) = on_plain_thread(move || {
            let mut survey = hub.to(all()).request(&question()).unwrap().timeout(seconds(7));
            assert!(survey.next().now_or_never().is_none());
            let mut call = Box::pin(asked.request(&question()).timeout(seconds(6)));
            assert!(call.as_mut().now_or_never().is_none());
            (survey, call)
        })
        .await;
        let timed_out = call.as_mut().await.unwrap_err().to_string();
        assert_eq!(start.elapsed(), seconds(6), "{timed_out}");
        assert!(matches!(survey.next().await, Some((_, Response::TimedOut))));
        assert_eq!(start.elapsed(), seconds(7));
        assert_eq!(survey.roster().next().unwrap().1, SurveyStatus::TimedOut);

        // A handler that goes on is cancelled at the deadline of the drain, and not before.
        let world = World::new(Router::new().route(ECHO, async || sleep(seconds(3_600)).await));
        let (mut raw, _peer) = world.join().await;
        raw.send(ECHO.code(), 0, "").await.unwrap();
        tokio::task::yield_now().await;
        let start = Instant::now();
        let hub = world.hub.clone();
        let draining = on_plain_thread(move || hub.shutdown()).await;
        let report = draining.await;
        assert_eq!((start.elapsed(), report.aborted_handlers), (seconds(10), 1));
    });
}

#[test]
fn a_send_waits_for_room_on_a_thread_without_a_runtime() {
    ahead(async {
        let config = ServerConfig::default().write_stall(Some(seconds(30)));
        let world = World::with(config, PIPE, Router::new());
        let (_raw, peer) = world.join().await;
        let big = Message::new(ECHO, vec![0; 8 << 20]);
        while peer.try_send(&big).is_ok() {}
        let start = Instant::now();
        let mut sending = on_plain_thread(move || {
            let mut sending = Box::pin(peer.send(&big));
            assert!(sending.as_mut().now_or_never().is_none(), "there is no room");
            sending
        })
        .await;
        let error = sending.as_mut().await.unwrap_err();
        assert!(matches!(error, SendError::Closed), "{error}");
        assert_eq!(start.elapsed(), seconds(30), "the peer has stalled for this time");
    });
}

/// Asks the server for a message of `OTHER`, whose handler makes the calls.
async fn ask_handler(config: ServerConfig, router: Router) -> String {
    let world = World::with(config, PIPE, router);
    let mut events = world.hub.events();
    let client = world.client(echo()).await;
    let answer = client.request(&Message::empty(OTHER)).timeout(seconds(60)).await;
    if let Err(error) = &answer {
        while let Some(Some(event)) = events.next().now_or_never() {
            if let Event::HandlerPanicked { message, .. } = event {
                panic!("the handler panicked: {message}");
            }
        }
        panic!("the handler has not answered: {error}");
    }
    assert!(!world.newest().is_closed());
    answer.unwrap().text().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_call_works_in_a_blocking_handler() {
    let all_calls = |hub: Hub, peer: Peer| {
        calls(&hub, &peer);
        "called"
    };
    let router = Router::new().route_blocking(OTHER, all_calls);
    assert_eq!(ask_handler(ServerConfig::default(), router).await, "called");
    // The handler ends its own connection, and does not wait for itself.
    let close = |hub: Hub, peer: Peer| {
        drop(peer.close());
        drop(hub.shutdown());
    };
    let world = World::new(Router::new().route_blocking(OTHER, close));
    let client = world.client(Router::new()).await;
    client.send(&Message::empty(OTHER)).await.unwrap();
    world.stopped().await;
    assert_eq!(client.peer().closed().await.reason, CloseReason::PeerClosed);
}

/// Uses the runtime as code does that was written for it.
fn use_runtime() -> String {
    let spawned = tokio::spawn(async {
        sleep(seconds(0)).await;
        "spawned"
    });
    block_on(spawned).expect("the task is not aborted").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_of_any_kind_is_inside_the_runtime() {
    let on_pool = Router::new().route_blocking(OTHER, || {
        let blocking = Handle::current().block_on(async { use_runtime_async().await });
        format!("{blocking} {}", use_runtime())
    });
    assert_eq!(ask_handler(ServerConfig::default(), on_pool).await, "awaited spawned");
    let connecting = Router::new().route_blocking(OTHER, || {
        let connect = Client::connect(ClientConfig::default().addr("127.0.0.1:1"), Router::new());
        block_on(connect).expect_err("no server is there").to_string()
    });
    let text = ask_handler(ServerConfig::default(), connecting).await;
    assert!(text.contains("cannot be reached"), "{text}");
    let threading = ServerConfig::default().socket_core(SocketCore::Threading);
    for config in [ServerConfig::default(), threading] {
        let router = Router::new().route(OTHER, spawn);
        assert_eq!(ask_handler(config.clone(), router).await, "spawned");
        let router = Router::new().route(OTHER, async || spawn());
        assert_eq!(ask_handler(config, router).await, "spawned");
    }
}

fn spawn() -> &'static str {
    drop(tokio::spawn(async {}));
    "spawned"
}

async fn use_runtime_async() -> &'static str {
    sleep(seconds(0)).await;
    "awaited"
}

/// Returns the text of the error of an operation that needs a runtime and has none.
fn refused<T, E: std::fmt::Display>(operation: impl Future<Output = Result<T, E>>) -> String {
    let result = block_on(operation);
    result.err().expect("there is no runtime").to_string()
}

#[test]
fn an_operation_that_needs_a_runtime_says_so() {
    let config = || ServerConfig::default().addr("127.0.0.1:0");
    let text = refused(Server::bind(config(), Router::new()));
    assert!(text.contains("Tokio runtime"), "{text}");
    let text = refused(Client::connect(ClientConfig::default(), Router::new()));
    assert!(text.contains("Tokio runtime"), "{text}");
    let (listener, connector) = veltix::transport::memory(PIPE);
    let text = refused(Client::connect_with(connector, ClientConfig::default(), Router::new()));
    assert!(text.contains("Tokio runtime"), "{text}");
    // A listener that needs no runtime can be made before there is one, but not be served.
    let server = Server::with_listener(listener, config(), Router::new()).unwrap();
    let hub = server.hub();
    assert!(block_on(hub.to(all()).request(&question()).unwrap()).is_enough(), "no peer is asked");
    let text = refused(server.run());
    assert!(text.contains("Tokio runtime"), "{text}");
    assert!(!block_on(hub.shutdown()).complete, "the server has never run");
}

/// A thread that waits when the runtime ends learns that the connection has ended.
#[test]
fn the_end_of_the_runtime_ends_the_waiting_of_other_threads() {
    for _ in 0..20 {
        let own = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (world, _raws) = own.block_on(async {
            let world = World::new(Router::new());
            let mut raws = Vec::new();
            for _ in 0..5 {
                raws.push(world.raw().await);
            }
            // The server lists a peer a little after its handshake.
            while world.hub.count(all()).unwrap() < 5 {
                tokio::task::yield_now().await;
            }
            (world, raws)
        });
        let hub = world.hub.clone();
        let mut survey = hub.to(all()).request(&question()).unwrap().timeout(seconds(60));
        assert!(survey.next().now_or_never().is_none());
        let waiting = thread::spawn(move || block_on(survey));
        own.shutdown_background();
        let responses = waiting.join().expect("it does not panic").responses;
        let left = responses.iter().filter(|(_, it)| matches!(it, Response::Left)).count();
        assert_eq!(left, 5, "{responses:?}");
        // Another survey has no peer to ask, or one that is just leaving.
        match hub.to(all()).request(&question()) {
            Ok(later) => assert_eq!(block_on(later).replies().count(), 0),
            Err(error) => assert!(matches!(error, SendError::Closed), "{error}"),
        }
    }
}

/// The parts of a test on one runtime are handles on another.
#[test]
fn handles_work_on_another_runtime() {
    let own = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (world, client) = own.block_on(async {
        let world = World::new(echo());
        let (mut clients, _) = answering(&world, &[0]).await;
        (world, clients.remove(0))
    });
    // This one has no timers.
    let other = Builder::new_current_thread().build().unwrap();
    other.block_on(async {
        let answers = world.hub.to(all()).request(&question()).unwrap().await;
        assert!(answers.is_enough());
        let answer = client.request(&Message::from_text(OTHER, "across")).await.unwrap();
        assert_eq!(answer.text().unwrap(), "across");
        assert_eq!(client.close().await.reason, CloseReason::Closed);
        assert!(world.hub.shutdown().await.complete);
    });
}
