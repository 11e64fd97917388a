//! `max_workers`: threads, and so the real clock, or a clock that stands still for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use veltix::testing::TestServer;
use veltix::{Client, ClientConfig, Message, Peer, PeerId, Router, ServerConfig};

use crate::support::{ECHO, OTHER, PATIENCE, PIPE, World};

/// A handler that blocks its thread: it reports the thread's name, and waits to be released.
struct Blocking {
    begun: UnboundedReceiver<String>,
    go_on: mpsc::Sender<()>,
}

impl Blocking {
    fn route(router: Router) -> (Self, Router) {
        let (tell, begun) = unbounded_channel();
        let (go_on, wait) = mpsc::channel();
        let wait = Arc::new(Mutex::new(wait));
        let block = move |body: Bytes| {
            let name = thread::current().name().unwrap_or_default().to_owned();
            tell.send(name).expect("the test listens");
            let wait = wait.lock().expect("nobody panics");
            wait.recv_timeout(PATIENCE).expect("the test lets it go on");
            body
        };
        (Self { begun, go_on }, router.route_blocking(OTHER, block))
    }

    async fn begins(&mut self) -> String {
        self.begun.recv().await.expect("the handler is there")
    }
}

async fn clients<const N: usize>(world: &World) -> [Client; N] {
    let clients = (0..N).map(|_| world.client(Router::new()));
    let clients = futures::future::join_all(clients).await;
    clients.try_into().unwrap_or_else(|_| unreachable!("there are N"))
}

#[tokio::test]
async fn so_many_blocking_handlers_run_at_a_time() {
    const WORKERS: usize = 3;
    let router = Router::new().route(ECHO, |body: Bytes| body);
    let (mut blocking, router) = Blocking::route(router);
    let world = World::with(ServerConfig::default().max_workers(WORKERS), PIPE, router);
    let clients = clients::<4>(&world).await;
    let question = Message::from_text(OTHER, "please block");
    let mut calls = Vec::new();
    let mut names = BTreeSet::new();
    for client in &clients[..WORKERS] {
        calls.push(tokio::spawn(client.request(&question).timeout(PATIENCE)));
        names.insert(blocking.begins().await);
    }
    assert_eq!(names, (1..=WORKERS).map(|n| format!("veltix-worker-{n}")).collect());
    // The pong shows that the message before the ping was handed over.
    clients[WORKERS].send(&question).await.unwrap();
    clients[WORKERS].ping().timeout(PATIENCE).await.unwrap();
    assert!(blocking.begun.try_recv().is_err(), "every thread is busy");
    // Async handlers need no thread of the pool.
    let other = world.client(Router::new()).await;
    other.request(&Message::empty(ECHO)).timeout(PATIENCE).await.unwrap();
    blocking.go_on.send(()).unwrap();
    assert!(names.contains(&blocking.begins().await), "a thread of the pool ran it");
    for _ in 0..WORKERS {
        blocking.go_on.send(()).unwrap();
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().body(), question.body());
    }
}

#[tokio::test]
async fn blocking_handlers_of_one_connection_keep_its_order() {
    const MESSAGES: u8 = 50;
    let handled: Arc<Mutex<BTreeMap<PeerId, Vec<u8>>>> = Arc::default();
    let log = Arc::clone(&handled);
    let note = move |peer: Peer, body: Bytes| {
        log.lock().expect("nobody panics").entry(peer.id()).or_default().push(body[0]);
        body
    };
    let config = ServerConfig::default().max_workers(4);
    let router = Router::new().route_blocking(OTHER, note);
    let server = TestServer::start_with(config, router).await;
    let clients = ["ann", "bob", "eve"].map(|name| server.client(name));
    let clients = futures::future::join_all(clients).await;
    for number in 0..MESSAGES {
        for client in &clients {
            client.send(&Message::new(OTHER, vec![number])).await;
        }
    }
    for client in &clients {
        client.request(&Message::new(OTHER, vec![MESSAGES])).await;
    }
    let handled = handled.lock().unwrap();
    assert_eq!(handled.len(), clients.len());
    for numbers in handled.values() {
        assert_eq!(*numbers, (0..=MESSAGES).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_client_has_workers_too() {
    let server = TestServer::start(Router::new()).await;
    let name = || thread::current().name().unwrap_or_default().to_owned();
    let router = Router::new().route_blocking(ECHO, name);
    let ann = server.client_with("ann", ClientConfig::default(), router).await;
    let answer = server.peer(&ann).request(&Message::empty(ECHO)).await.unwrap();
    assert_eq!(answer.text().unwrap(), "veltix-worker-1");
}
