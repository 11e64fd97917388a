//! The end of nodes and runtimes, and of calls and questions with extreme times.

use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use tokio::runtime;
use veltix_core::Frame;
use veltix_core::cluster::NodeCall;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_question_without_a_deadline_ends() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let count = nodes[0].cluster().count(all()).timeout(Duration::MAX).into_future();
    assert_eq!(soon(count).await.unwrap().complete().unwrap(), 0);
}

/// A runtime that ends drops a task inside of `tokio::spawn`.
#[tokio::test]
async fn a_call_that_arrives_as_the_runtime_ends_stops_nobody() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    let ended = runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let handle = ended.handle().clone();
    let (done, is_done) = mpsc::channel();
    let (joined, hub) = (node.cluster().joined().unwrap(), node.hub.clone());
    thread::spawn(move || {
        drop(ended);
        let _inside = handle.enter();
        let frame = Frame::from(Message::from_text(ASK, "?"));
        let (except, timeout) = (Vec::new(), Duration::from_secs(5));
        let record = NodeCall::encode(1, timeout, &all(), &[], &frame).unwrap();
        let call = NodeCall::decode(record.body).unwrap();
        joined.serve(&hub, NodeId::of_random(77), call, except, Duration::ZERO);
        let _ = done.send(joined.served.len());
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(5)), Ok(0));
}

/// The peers of other nodes cannot respond to a node that has ended.
#[tokio::test(start_paused = true)]
async fn calls_and_questions_end_with_their_node() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let (_mute, peer) = nodes[1].named("mute").await;
    let cluster = nodes[0].cluster();
    let begin = Instant::now();
    let request = cluster.peer(peer).request(&Message::from_text(ASK, "?"));
    let request = tokio::spawn(request.timeout(Duration::MAX).into_future());
    let survey = cluster.to(all()).request(&Message::from_text(ASK, "?")).unwrap();
    let survey = tokio::spawn(survey.timeout(Duration::MAX).into_future());
    sleep(Duration::from_millis(100)).await;
    network.cut(nodes[0].id, nodes[1].id);
    let count = tokio::spawn(cluster.count(all()).timeout(Duration::MAX).into_future());
    sleep(Duration::from_millis(100)).await;
    soon(nodes[0].hub.shutdown()).await;
    assert!(soon(request).await.unwrap().is_err());
    let responses = soon(survey).await.unwrap();
    assert_eq!((responses.responses.len(), responses.is_complete()), (1, true));
    assert_eq!(responses.responses[0].0, peer);
    let counted = soon(count).await.unwrap().unwrap();
    assert_eq!(counted.missing, [(nodes[1].id, Missing::Gone)]);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    // Nothing waits behind the end.
    let late = soon(cluster.count(all()).timeout(Duration::MAX).into_future()).await.unwrap();
    assert!(!late.is_complete());
    assert_eq!(cluster.stats().queued_bytes, 0);
}

/// A server whose `run` is dropped passes nothing on any more.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_dropped_leaves_no_queue() {
    let network = MemoryNetwork::new();
    let other = serve(&network);
    let (listener, _connector) = memory(1024);
    let server = Server::with_listener(listener, ServerConfig::default(), Router::new()).unwrap();
    let server = server.cluster(Joining::new(network.engine()));
    let hub = server.hub();
    let run = tokio::spawn(server.run());
    other.sees(1).await;
    run.abort();
    let _ = run.await;
    let cluster = Cluster::of(&hub);
    let count = soon(cluster.count(all()).timeout(Duration::MAX).into_future()).await.unwrap();
    assert!(!count.is_complete());
    let stats = cluster.stats();
    assert_eq!((stats.queued_bytes, stats.to_all.queued), (0, 0), "{stats:?}");
    let sent = stats.to_all;
    assert_eq!(sent.offered, sent.published + sent.dropped() + sent.queued);
}

/// A future that its waker drops, as an executor does that has ended.
struct Dropped(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Wake for Dropped {
    fn wake(self: Arc<Self>) {
        let dropped = self.0.lock().unwrap().take();
        drop(dropped);
    }
}

impl Dropped {
    /// Polls a future, which waits.
    fn poll(future: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        let this = Arc::new(Self(Mutex::new(None)));
        let mut future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
        let waker = Waker::from(Arc::clone(&this));
        assert_eq!(future.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        *this.0.lock().unwrap() = Some(future);
        this
    }
}

#[tokio::test]
async fn a_waker_may_drop_the_future_that_it_wakes() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let _mute = nodes[1].client("mute").await;
    let cluster = nodes[0].cluster();
    network.cut_one_way(nodes[1].id, nodes[0].id);
    let survey = cluster.to(all()).request(&Message::from_text(ASK, "?")).unwrap();
    let survey = Dropped::poll(async { drop(survey.await) });
    let counting = cluster.count(all());
    let count = Dropped::poll(async { drop(counting.await) });
    let mut watch = cluster.watch(all()).start().unwrap();
    let watch = Dropped::poll(async move { drop(watch.next().await) });
    let (done, is_done) = mpsc::channel();
    let (node, other) = (cluster.joined().unwrap(), nodes[1].id);
    thread::spawn(move || {
        node.calls.gone(other, |_| true);
        node.asks.gone(other, |_| true);
        node.unwatch_member(other);
        let _ = done.send([survey, count, watch].map(|it| it.0.lock().unwrap().is_none()));
    });
    assert_eq!(is_done.recv_timeout(Duration::from_secs(5)), Ok([true; 3]));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_broker_that_never_was_there() {
    let network = MemoryNetwork::new();
    network.stop();
    let node = serve(&network);
    sleep(Duration::from_secs(20)).await;
    let _ = node.hub.broadcast(&Message::from_text(SAY, "lost"));
    let begin = Instant::now();
    soon(node.hub.shutdown()).await;
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    let sent = node.cluster().stats().to_all;
    assert_eq!((sent.queued, sent.offered), (0, sent.dropped()), "{sent:?}");
}

/// Handles of the cluster keep neither the node nor its server.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_node() {
    let network = MemoryNetwork::new();
    let other = serve(&network);
    for end in ["shutdown", "abort", "not run"] {
        let (listener, _connector) = memory(1024);
        let server =
            Server::with_listener(listener, ServerConfig::default(), Router::new()).unwrap();
        let server = server.cluster(Joining::new(network.engine()));
        let hub = server.hub();
        let node = Arc::downgrade(&Cluster::of(&hub).joined().unwrap());
        if end == "not run" {
            drop(server);
        } else {
            let run = tokio::spawn(server.run());
            other.sees(1).await;
            let watch = Cluster::of(&hub).watch(all()).start().unwrap();
            let survey = Cluster::of(&hub).to(all()).request(&Message::from_text(ASK, "?"));
            drop(survey.unwrap().await);
            if end == "shutdown" {
                soon(hub.shutdown()).await;
            } else {
                run.abort();
            }
            let _ = run.await;
            drop(watch);
        }
        drop(hub);
        sleep(Duration::from_millis(10)).await;
        assert_eq!(node.strong_count(), 0, "{end}");
        other.sees(0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn surveys_with_extreme_settings_end_at_once() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let begin = Instant::now();
    let ask = |target: Target| {
        nodes[0].cluster().to(target).request(&Message::from_text(ASK, "?")).unwrap()
    };
    assert!(soon(ask(all()).into_future()).await.is_enough(), "nobody is asked");
    let _readers = [nodes[0].client("mute").await, nodes[1].client("mute").await];
    sleep(Duration::from_millis(10)).await;
    for survey in [ask(all()).first(0), ask(all()).quorum(0), ask(all()).quorum(usize::MAX)] {
        let responses = soon(survey.into_future()).await;
        assert_eq!(responses.responses.len(), 0, "{responses:?}");
    }
    for late in [ask(all()).timeout(Duration::ZERO), ask(all()).timeout(Duration::from_millis(5))] {
        let responses = soon(late.into_future()).await;
        assert_eq!(responses.responses.len() + responses.missing.len(), 2, "{responses:?}");
    }
    let one = NodeId::of_random(1);
    let peer = nodes[0].cluster().peer(PeerRef { node: one, peer: veltix_core::PeerId::new(0) });
    let request = peer.request(&Message::from_text(ASK, "?")).timeout(Duration::MAX);
    assert!(soon(request.into_future()).await.is_err());
    assert!(soon(nodes[0].cluster().get(peer.name()).into_future()).await.is_err());
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(nodes[0].cluster().joined().unwrap().calls.is_empty());
    sleep(Duration::from_millis(10)).await;
    assert_eq!(nodes[1].cluster().joined().unwrap().served.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_ended_says_so() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    sleep(Duration::from_secs(1)).await;
    let cluster = node.cluster();
    let mut status = cluster.status();
    assert_eq!(*status.borrow_and_update(), ClusterStatus::Connected);
    soon(node.hub.shutdown()).await;
    soon(status.changed()).await.unwrap();
    assert!(matches!(*cluster.status().borrow(), ClusterStatus::Degraded { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_survey_that_ends_early_names_the_nodes_that_it_has_not_heard() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let _readers = [nodes[0].client("lobby").await, nodes[1].client("mute").await];
    network.cut_one_way(nodes[1].id, nodes[0].id);
    let survey = nodes[0].cluster().to(all()).request(&Message::from_text(ASK, "?")).unwrap();
    let responses = soon(survey.first(1).into_future()).await;
    assert_eq!((responses.responses.len(), responses.is_enough()), (1, true));
    assert_eq!(responses.missing, [(nodes[1].id, Missing::TimedOut)]);
}

#[tokio::test]
#[should_panic(expected = "a server joins one cluster: call `cluster` once")]
async fn a_second_cluster_is_refused_loudly() {
    let (network, (listener, _)) = (MemoryNetwork::new(), memory(1));
    let server = Server::with_listener(listener, ServerConfig::default(), Router::new()).unwrap();
    let server = server.cluster(Cluster::over(network.engine()));
    let _ = server.cluster(Cluster::over(network.engine()));
}
