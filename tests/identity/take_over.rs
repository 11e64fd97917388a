//! `peer.take_over(..)`: one connection for each user, the newest. The user is that of `authenticate`.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::executor::block_on;
use futures::future::join_all;
use tokio::task::spawn_blocking;
use tokio::time::{Duration, Instant, sleep};
use veltix::future::TakeOverError;
use veltix::{
    BoxError, Client, ClientConfig, CloseReason, Disconnected, HandshakeInfo, Hub, Message, Peer,
    Refuse, Router, all, tag,
};

use crate::support::{ECHO, OTHER, World, quiet, until};

/// The user whom a token names. `session` differs for each connection, and is no part of the key.
struct User {
    name: String,
    _session: u64,
}

async fn authenticate(info: HandshakeInfo) -> Result<User, Refuse> {
    let name = info.require_token()?.expose().to_owned();
    Ok(User { name, _session: 0 })
}

/// The events of the handlers, in their order.
type Log = Arc<Mutex<Vec<String>>>;

fn router(log: &Log, leaving: Duration) -> Router {
    let (coming, going) = (Arc::clone(log), Arc::clone(log));
    let enter = move |peer: Peer| {
        let log = Arc::clone(&coming);
        async move {
            let told = Message::empty(OTHER);
            let older = peer.take_over(|user: &User| user.name.clone()).tell(&told).await?;
            log.lock().expect("nobody panics").push(format!("enter, {} older", older.len()));
            peer.set_tag(("user", peer.identity::<User>().expect("it is known").name.clone()))?;
            Ok::<_, BoxError>(())
        }
    };
    let leave = move |end: Disconnected| {
        let log = Arc::clone(&going);
        async move {
            sleep(leaving).await;
            log.lock().expect("nobody panics").push(format!("left, {}", end.reason));
        }
    };
    Router::new().authenticate(authenticate).on_connect(enter).on_disconnect(leave)
}

async fn connect(world: &World, name: &str) -> (Client, veltix::MessageStream) {
    let (router, messages) = Router::new().messages();
    let client = world.client_with(ClientConfig::default().token(name), router).await;
    (client, messages)
}

fn entries(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().expect("nobody panics"))
}

const TAKEN_OVER: &str = "left, a newer connection of the same user took over";

#[tokio::test(start_paused = true)]
async fn the_newest_connection_of_a_user_stays_after_the_older_one_has_left() {
    let log = Log::default();
    let world = World::new(router(&log, Duration::from_secs(1)));
    let (_bob, _) = connect(&world, "bob").await;
    let (ann, mut heard) = connect(&world, "ann").await;
    quiet().await;
    let older = world.hub.list(tag("user").is("ann")).unwrap().remove(0);
    assert_eq!(entries(&log), ["enter, 0 older", "enter, 0 older"]);
    let start = Instant::now();
    let (_again, _) = connect(&world, "ann").await;
    quiet().await;
    while world.hub.count(tag("user").is("ann")).unwrap() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(entries(&log), [TAKEN_OVER, "enter, 1 older"]);
    assert!(start.elapsed() >= Duration::from_secs(1), "it waited for `on_disconnect`");
    assert_eq!(heard.next().await.map(|message| message.code()), Some(OTHER.code()));
    assert_eq!(older.closed().await.reason, CloseReason::TakenOver);
    assert_eq!(ann.peer().closed().await.reason, CloseReason::PeerClosed);
    assert_eq!(world.hub.count(all()), Ok(2));
    assert_eq!(world.hub.count(tag("user").is("ann")), Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_on_disconnect_holds_up_the_new_connection_for_two_seconds() {
    let log = Log::default();
    let world = World::new(router(&log, Duration::from_secs(5)));
    let (_ann, _) = connect(&world, "ann").await;
    quiet().await;
    let start = Instant::now();
    let (again, _) = connect(&world, "ann").await;
    while world.hub.count(all()).unwrap() == 0 || again.is_connected() && entries(&log).is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let took = start.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_millis(2_100)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn of_many_takeovers_at_once_exactly_one_connection_remains() {
    for leaving in [Duration::ZERO, Duration::from_millis(300)] {
        let log = Log::default();
        let world = World::new(router(&log, leaving));
        let (_other, _) = connect(&world, "bob").await;
        let clients = join_all((0..10).map(|_| connect(&world, "ann"))).await;
        sleep(Duration::from_secs(5)).await;
        assert_eq!(world.hub.count(tag("user").is("ann")), Ok(1));
        assert_eq!(world.hub.count(all()), Ok(2));
        let connected = clients.iter().filter(|(client, _)| client.is_connected()).count();
        assert_eq!(connected, 1);
        // Each that entered has left, except the last.
        let log = entries(&log);
        let entered = log.iter().filter(|entry| entry.starts_with("enter")).count();
        let left = log.iter().filter(|entry| entry.starts_with("left")).count();
        assert_eq!(entered, left + 2, "{log:?}");
        let last = log.iter().rposition(|entry| entry.starts_with("enter")).unwrap();
        assert!(log[last..].iter().all(|entry| !entry.starts_with("left")), "{log:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_identity_nothing_is_taken_over_and_the_error_says_why() {
    let enter = |peer: Peer| async move {
        peer.take_over(|user: &User| user.name.clone()).await?;
        Ok::<_, BoxError>(())
    };
    let world = World::new(Router::new().on_connect(enter));
    let mut events = world.hub.events();
    let _raw = world.raw().await;
    let refused = |event| match event {
        veltix::Event::Refused { reason, .. } => Some(reason),
        _ => None,
    };
    let reason = until(&mut events, refused).await;
    assert!(reason.contains("no identity of type") && reason.contains("User`"), "{reason}");
}

/// The entry of a user goes with the last connection, and a handler may take over as well.
#[tokio::test(start_paused = true)]
async fn a_handler_may_take_over_and_a_user_who_left_is_forgotten() {
    let take = |peer: Peer, hub: Hub| async move {
        let older = peer.take_over(|user: &User| user.name.clone()).await;
        format!("{} {}", older.expect("it is known").len(), hub.count(all()).expect("it is valid"))
    };
    let router = Router::new().authenticate(authenticate).route(ECHO, take);
    let world = World::new(router);
    let ask = async |client: &Client| {
        let answer = client.request(&Message::empty(ECHO)).await.expect("it answers");
        answer.text().expect("a text").to_owned()
    };
    let (one, _) = connect(&world, "ann").await;
    let (two, _) = connect(&world, "ann").await;
    assert_eq!(ask(&one).await, "0 2");
    assert_eq!(ask(&one).await, "0 2", "it holds the key itself");
    assert_eq!(ask(&two).await, "1 1");
    two.close().await;
    quiet().await;
    let (three, _) = connect(&world, "ann").await;
    assert_eq!(ask(&three).await, "0 1");
}

/// The older connection of the two takes over once more before it notices that it is closed.
#[tokio::test(start_paused = true)]
async fn of_two_connections_that_take_over_from_each_other_the_newer_one_remains() {
    let log = Log::default();
    let leave = Router::new().authenticate(authenticate).on_disconnect({
        let log = Arc::clone(&log);
        move || log.lock().expect("nobody panics").push("left".to_owned())
    });
    let world = World::new(leave);
    let name = |user: &User| user.name.clone();
    let (_one, _) = connect(&world, "ann").await;
    quiet().await;
    let older = world.newest();
    older.take_over(name).await.expect("the user is known");
    let (_two, _) = connect(&world, "ann").await;
    quiet().await;
    let newer = world.newest();
    let mut taking = newer.take_over(name).into_future();
    assert!((&mut taking).now_or_never().is_none(), "the older one has not left");
    let again = older.take_over(name).await;
    assert!(matches!(again, Err(TakeOverError::TakenOver)), "{again:?}");
    assert_eq!(entries(&log), [""; 0]);
    assert_eq!(taking.await.expect("the user is known"), [older]);
    assert_eq!(entries(&log), ["left"]);
    quiet().await;
    assert_eq!(world.hub.list(all()), Ok(vec![newer]));
}

#[tokio::test(start_paused = true)]
async fn a_thread_without_a_runtime_may_take_over_but_a_plain_handler_may_not() {
    let take = |peer: Peer| block_on(peer.take_over(|user: &User| user.name.clone()).into_future());
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let plain = move |peer: Peer| tell.send(take(peer)).expect("the test listens");
    let world = World::new(Router::new().authenticate(authenticate).route(ECHO, plain));
    let (one, _) = connect(&world, "ann").await;
    quiet().await;
    let older = world.newest();
    one.send(&Message::empty(ECHO)).await.expect("it is connected");
    let refused = told.recv().await.expect("the handler runs");
    assert!(matches!(refused, Err(TakeOverError::InPlainHandler)), "{refused:?}");
    let outside = |peer: Peer| {
        spawn_blocking(move || std::thread::spawn(move || take(peer)).join().expect("it is joined"))
    };
    assert_eq!(outside(older.clone()).await.unwrap().unwrap(), []);
    let (_two, _) = connect(&world, "ann").await;
    quiet().await;
    assert_eq!(outside(world.newest()).await.unwrap().unwrap(), [older]);
}

/// The farewell is for the older connections, so the limit of the new one does not matter.
#[tokio::test(start_paused = true)]
async fn the_farewell_is_as_large_as_the_older_connections_accept() {
    let enter = async |peer: Peer| {
        let told = Message::new(OTHER, vec![0; 2_000]);
        peer.take_over(|user: &User| user.name.clone()).tell(&told).await.map(drop)
    };
    let world = World::new(Router::new().authenticate(authenticate).on_connect(enter));
    let connect = async |limit| {
        let (router, messages) = Router::new().messages();
        let config = ClientConfig::default().token("ann").max_message_size(limit);
        (world.client_with(config, router).await, messages)
    };
    let (_large, mut heard) = connect(10_000).await;
    let (_small, mut nothing) = connect(1_000).await;
    assert_eq!(heard.next().await.map(|message| message.body().len()), Some(2_000));
    quiet().await;
    let older = world.newest();
    let (_last, _) = connect(10_000).await;
    let outcome = older.closed().await;
    assert_eq!((outcome.reason, outcome.sent.dropped_too_large), (CloseReason::TakenOver, 1));
    assert!(nothing.next().await.is_none());
}
