//! `socket_core`: threads and sockets, on a runtime with a single worker that a blocking handler
//! would stop.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::time::timeout;
use veltix::{
    Client, ClientConfig, CloseReason, Hub, Message, MessageType, Peer, Router, Server,
    ServerConfig, ShutdownReport, SocketCore, all,
};

use crate::support::{ECHO, OTHER, PATIENCE};

/// A message that asks a handler to block its thread.
const BLOCK: MessageType = MessageType::new(300, "block", "");

/// Starts a server on this core, and returns its address.
async fn serve(core: SocketCore, router: Router) -> (Hub, String) {
    let config = ServerConfig::default().addr("127.0.0.1:0").socket_core(core);
    let server = Server::bind(config, router).await.expect("a free port");
    let hub = server.hub();
    tokio::spawn(server.run());
    let addr = hub.local_addr().to_string();
    (hub, addr)
}

async fn connect(addr: &str, core: SocketCore, router: Router) -> Client {
    let config = ClientConfig::default().addr(addr).socket_core(core);
    Client::connect(config, router).await.expect("it connects")
}

/// Runs an application that does not depend on the core, from its start to its shutdown.
async fn application(core: SocketCore) -> ShutdownReport {
    let left = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&left);
    let router = Router::new()
        .route(ECHO, async |body: Bytes| body)
        .route(OTHER, async |hub: Hub, message: Message| {
            hub.broadcast(&message)?;
            Ok::<_, veltix::SendError>(())
        })
        .on_disconnect(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
    let (hub, addr) = serve(core, router).await;
    let answer = Router::new().route(ECHO, |body: Bytes| body);
    let one = connect(&addr, core, answer).await;
    let (router, mut heard) = Router::new().messages();
    let two = connect(&addr, core, router).await;
    // A client is connected slightly before its server lists it: an answer shows that it is listed.
    two.request(&Message::empty(ECHO)).timeout(PATIENCE).await.expect("an answer");
    for number in 0..100 {
        let question = Message::from_text(ECHO, number.to_string());
        let answer = one.request(&question).timeout(PATIENCE).await.expect("an answer");
        assert_eq!(answer.body(), question.body());
        one.send(&Message::from_text(OTHER, number.to_string())).await.expect("it is connected");
        let number = Some(number.to_string());
        let message = timeout(PATIENCE, heard.next()).await.expect("the broadcast comes");
        assert_eq!(message.and_then(|m| Some(m.text().ok()?.to_owned())), number);
    }
    two.close().await;
    let asked = hub.list(all()).unwrap().into_iter().map(|peer| {
        let question = Message::from_text(ECHO, "and you?");
        peer.request(&question).timeout(PATIENCE)
    });
    let mut answers = futures::future::join_all(asked).await;
    answers.retain(Result::is_ok);
    assert_eq!(answers.len(), 1, "one of the threads has not ended");
    let report = hub.shutdown().await;
    assert_eq!(left.load(Ordering::Relaxed), 2);
    assert_eq!(one.peer().closed().await.reason, CloseReason::PeerClosed);
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_application_runs_on_both_cores_unchanged() {
    for core in [SocketCore::Async, SocketCore::Threading] {
        let report = application(core).await;
        assert_eq!((report.connections, report.dropped, report.complete), (1, 0, true), "{core:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn with_a_thread_each_a_handler_that_blocks_delays_nobody_else() {
    let (tell, begun) = oneshot::channel();
    let (go_on, wait) = mpsc::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let wait = Arc::new(Mutex::new(wait));
    let finished = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&finished);
    // An async function with a forbidden blocking call: with `SocketCore::Async` all connections
    // would wait.
    let block = move || {
        let (tell, wait, flag) = (Arc::clone(&tell), Arc::clone(&wait), Arc::clone(&flag));
        async move {
            let tell = tell.lock().expect("nobody panics").take();
            tell.expect("it is called once").send(()).expect("the test listens");
            let _ = wait.lock().expect("nobody panics").recv_timeout(PATIENCE);
            flag.store(true, Ordering::SeqCst);
            "unblocked"
        }
    };
    let router = Router::new().route(BLOCK, block).route(ECHO, async |body: Bytes| body);
    let (hub, addr) = serve(SocketCore::Threading, router).await;
    let blocked = connect(&addr, SocketCore::Async, Router::new()).await;
    let other = connect(&addr, SocketCore::Async, Router::new()).await;
    let answer = tokio::spawn(blocked.request(&Message::empty(BLOCK)).timeout(PATIENCE));
    begun.await.unwrap();
    for _ in 0..20 {
        other.request(&Message::from_text(ECHO, "hello")).timeout(PATIENCE).await.unwrap();
    }
    let late = connect(&addr, SocketCore::Async, Router::new()).await;
    late.request(&Message::from_text(ECHO, "hello")).timeout(PATIENCE).await.unwrap();
    assert!(!finished.load(Ordering::SeqCst), "all calls completed while one thread was blocked");
    go_on.send(()).unwrap();
    assert_eq!(answer.await.unwrap().unwrap().text().unwrap(), "unblocked");
    hub.shutdown().await;
}

/// The task that admits or refuses the peer is held up here, while the thread could go on with the messages
/// behind `on_connect`.
#[tokio::test]
async fn no_message_is_handled_before_the_peer_is_admitted_or_refused() {
    for is_refused in [false, true] {
        let (tell, mut entered) = unbounded_channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let handled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handled);
        let router = Router::new()
            .on_connect(move |peer: Peer| {
                tell.send(peer).expect("the test listens");
                let _ = wait.lock().expect("nobody panics").recv_timeout(PATIENCE);
                if is_refused { Err("refused") } else { Ok(()) }
            })
            .route(ECHO, move |hub: Hub, peer: Peer, body: Bytes| {
                count.fetch_add(1, Ordering::SeqCst);
                assert!(hub.get(peer.id()).is_some(), "the peer is listed");
                body
            });
        let (hub, addr) = serve(SocketCore::Threading, router).await;
        let client = connect(&addr, SocketCore::Async, Router::new()).await;
        let peer = entered.recv().await.expect("it connects");
        let echo = Message::from_text(ECHO, "hello");
        client.send(&echo).await.unwrap();
        let answer = client.request(&echo);
        let answer = tokio::spawn(answer);
        while peer.stats().received.received < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        go_on.send(()).unwrap();
        thread::sleep(Duration::from_millis(100));
        assert_eq!(handled.load(Ordering::SeqCst), 0);
        assert_eq!(answer.await.unwrap().is_ok(), !is_refused);
        drop(client);
        hub.shutdown().await;
        assert_eq!(handled.load(Ordering::SeqCst), if is_refused { 0 } else { 2 });
        assert_eq!(hub.handler_panics(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_connection_has_a_thread_which_is_joined_at_shutdown() {
    /// A guard that counts when its thread has ended.
    struct OnExit(Arc<AtomicUsize>);
    impl Drop for OnExit {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    thread_local! {
        static ON_EXIT: RefCell<Option<OnExit>> = const { RefCell::new(None) };
    }
    const CLIENTS: usize = 5;
    let ended = Arc::new(AtomicUsize::new(0));
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let (counter, ids) = (Arc::clone(&ended), Arc::clone(&threads));
    let mark = async move || {
        ON_EXIT.set(Some(OnExit(Arc::clone(&counter))));
        let thread = thread::current();
        ids.lock().expect("nobody panics").insert(thread.id());
        thread.name().unwrap_or_default().to_owned()
    };
    let mark = move || {
        let mark = mark.clone();
        async move { mark().await }
    };
    let (hub, addr) = serve(SocketCore::Threading, Router::new().route(ECHO, mark)).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = connect(&addr, SocketCore::Async, Router::new()).await;
        let answer = client.request(&Message::empty(ECHO)).timeout(PATIENCE).await.unwrap();
        assert_eq!(answer.text().unwrap(), "veltix-handlers");
        clients.push(client);
    }
    assert_eq!(threads.lock().unwrap().len(), CLIENTS);
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    hub.shutdown().await;
    assert_eq!(ended.load(Ordering::SeqCst), CLIENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn threads_end_with_the_future_of_run() {
    let config = ServerConfig::default().addr("127.0.0.1:0").socket_core(SocketCore::Threading);
    let server = Server::bind(config, Router::new()).await.unwrap();
    let addr = server.local_addr().to_string();
    let running = tokio::spawn(server.run());
    let client = connect(&addr, SocketCore::Threading, Router::new()).await;
    running.abort();
    let reason = client.peer().closed().await.reason;
    assert!(matches!(reason, CloseReason::PeerClosed | CloseReason::Io(_)), "{reason}");
}

/// A handler that cannot be cancelled is not awaited either, and the report says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_outlives_no_drain() {
    for core in [SocketCore::Async, SocketCore::Threading] {
        let (tell, begun) = oneshot::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let (tell, wait) = (Arc::new(Mutex::new(Some(tell))), Arc::new(Mutex::new(wait)));
        let block = move || {
            let tell = tell.lock().expect("nobody panics").take();
            tell.expect("it is called once").send(()).expect("the test listens");
            let _ = wait.lock().expect("nobody panics").recv_timeout(PATIENCE);
        };
        let config = ServerConfig::default().addr("127.0.0.1:0").socket_core(core);
        let config = config.drain_timeout(Duration::from_millis(100));
        let server = Server::bind(config, Router::new().route(BLOCK, block)).await.unwrap();
        let (hub, addr) = (server.hub(), server.local_addr().to_string());
        let running = tokio::spawn(server.run());
        let client = connect(&addr, SocketCore::Async, Router::new()).await;
        client.send(&Message::empty(BLOCK)).await.unwrap();
        begun.await.unwrap();
        let report = timeout(Duration::from_secs(10), hub.shutdown()).await;
        // Otherwise the runtime could not end.
        drop(go_on);
        let report = report.expect("it is over at its deadline");
        assert!(!report.complete, "{core:?}: {report:?}");
        running.await.unwrap().unwrap();
    }
}
