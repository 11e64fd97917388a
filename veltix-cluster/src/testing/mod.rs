//! [`TestCluster`]: several servers in memory, for the tests of an application.

#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use veltix_core::cluster::NodeId;
use veltix_tokio::testing::TestServer;
use veltix_tokio::{Router, ServerConfig, ShutdownReport};

use crate::cluster::Cluster;
use crate::config::ClusterConfig;
use crate::engine::memory::MemoryNetwork;
use crate::status::ClusterStatus;

/// The time within which the nodes of a test know each other: a lease and some heartbeats.
const PATIENCE: Duration = Duration::from_secs(30);

/// The resolution of Tokio's timers. A paused clock moves on only once all tasks wait.
const TICK: Duration = Duration::from_millis(1);

/// A cluster of several servers in memory, for the test of an application. Its nodes are numbered from 0, and each
/// of them is a [`TestServer`]. They share the paused clock, so that a test of an outage takes no time and gives the
/// same result each time.
///
/// ```
/// use std::time::Duration;
/// use veltix::cluster::{Cluster, LeaveReason, ClusterEvent};
/// use veltix::testing::TestCluster;
/// use veltix::{Hub, Message, MessageType, Peer, Router, SendError, TargetError, all};
///
/// const SAY: MessageType = MessageType::new(200, "say", "");
/// const COUNT: MessageType = MessageType::new(201, "count", "");
///
/// // The application.
/// fn router() -> Router {
///     Router::new()
///         .route(SAY, |hub: Hub, peer: Peer, message: Message| {
///             hub.to(all()).except(&peer).send(&message)?;
///             Ok::<_, SendError>(())
///         })
///         .route(COUNT, async |cluster: Cluster| {
///             let count = cluster.count(all()).await?;
///             Ok::<_, TargetError>(format!("{}, complete: {}", count.value, count.is_complete()))
///         })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { a_killed_node_takes_its_peers_with_it().await }
/// // Its test.
/// # /*
/// #[tokio::test]
/// # */
/// async fn a_killed_node_takes_its_peers_with_it() {
///     let mut cluster = TestCluster::start(3, router).await;
///     let ann = cluster.node(0).client("ann").await;
///     let mut bob = cluster.node(1).client("bob").await;
///     let _cat = cluster.node(2).client("cat").await;
///     let hello = Message::from_text(SAY, "hello");
///     ann.send(&hello).await;
///     bob.expect_message(&hello).await;
///
///     let mut events = cluster.handle(0).events();
///     let gone = cluster.id(2);
///     cluster.kill(2).await;
///     cluster.advance(Duration::from_secs(5)).await;
///     let left = ClusterEvent::NodeLeft { node: gone, reason: LeaveReason::NoSubscriber };
///     assert_eq!(events.next().await, Some(left));
///     assert_eq!(ann.request(&Message::empty(COUNT)).await.text().unwrap(), "2, complete: true");
/// }
/// ```
///
/// The nodes send to each other through a broker in memory. [`cut`](Self::cut) and [`heal`](Self::heal) fail and
/// restore the way between two nodes, [`stop_broker`](Self::stop_broker) and [`hang_broker`](Self::hang_broker) the
/// broker, and [`kill`](Self::kill) ends a node without a farewell. A client's own link is that of
/// [`TestClient::link`](veltix_tokio::testing::TestClient::link).
///
/// Dropping it drops the nodes. As with a [`TestServer`], a handler that has failed fails the test.
#[must_use = "a dropped cluster aborts its connections"]
pub struct TestCluster {
    network: MemoryNetwork,
    server: ServerConfig,
    config: ClusterConfig,
    router: Box<dyn Fn() -> Router + Send + Sync>,
    /// A node that does not run is `None`.
    nodes: Vec<Option<TestServer>>,
    /// The number of starts, restarts among them.
    starts: u64,
}

impl TestCluster {
    /// Starts this number of nodes with the default configs, pauses the clock, and waits until each node knows each
    /// other one. The function creates the router of each node.
    ///
    /// # Panics
    /// Panics unless the runtime has one thread, as that of `#[tokio::test]` has.
    pub async fn start(nodes: usize, router: impl Fn() -> Router + Send + Sync + 'static) -> Self {
        Self::start_with(nodes, ServerConfig::default(), ClusterConfig::default(), router).await
    }

    /// Starts nodes as [`start`](Self::start) does, with these configs. The names of the nodes are "node 0" and so on.
    ///
    /// # Panics
    /// Panics as [`start`](Self::start) does, and if one of the configs is invalid.
    pub async fn start_with(
        nodes: usize,
        server: ServerConfig,
        config: ClusterConfig,
        router: impl Fn() -> Router + Send + Sync + 'static,
    ) -> Self {
        let (network, router) = (MemoryNetwork::new(), Box::new(router));
        let mut cluster = Self { network, server, config, router, nodes: Vec::new(), starts: 0 };
        for number in 0..nodes {
            let node = cluster.serve(number).await;
            cluster.nodes.push(Some(node));
        }
        cluster.connected().await;
        cluster
    }

    async fn serve(&mut self, number: usize) -> TestServer {
        self.starts += 1;
        let name = format!("node {number}");
        let config = self.config.clone().name(name.clone());
        let join = || match Cluster::over(self.network.engine()).config(config) {
            Ok(joining) => joining,
            Err(error) => panic!("the config of the test cluster is invalid: {error}"),
        };
        let (config, router) = (self.server.clone(), (self.router)());
        TestServer::start_node(self.starts, name, config, router, join).await
    }

    /// Returns a node, for its clients, its hub and its failures.
    ///
    /// # Panics
    /// Panics if the node does not run.
    #[track_caller]
    pub fn node(&self, number: usize) -> &TestServer {
        match self.nodes.get(number) {
            Some(Some(node)) => node,
            Some(None) => panic!("node {number} does not run: `restart` starts it again"),
            None => panic!("there is no node {number} among {}", self.nodes.len()),
        }
    }

    /// Returns a node's handle of the cluster.
    ///
    /// # Panics
    /// Panics if the node does not run.
    #[must_use]
    #[track_caller]
    pub fn handle(&self, number: usize) -> Cluster {
        Cluster::of(self.node(number).hub())
    }

    /// Returns the id of a node, which is new for each start.
    ///
    /// # Panics
    /// Panics if the node does not run.
    #[must_use]
    #[track_caller]
    pub fn id(&self, number: usize) -> NodeId {
        self.handle(number).node()
    }

    /// Cuts the way between two nodes: nothing that one sends reaches the other. After the lease, 10 s by default,
    /// neither knows the other.
    ///
    /// # Panics
    /// Panics if one of the nodes does not run.
    #[track_caller]
    pub fn cut(&self, one: usize, other: usize) {
        self.network.cut(self.id(one), self.id(other));
    }

    /// Cuts the way in one direction: nothing that `from` sends reaches `to`.
    ///
    /// # Panics
    /// Panics if one of the nodes does not run.
    #[track_caller]
    pub fn cut_one_way(&self, from: usize, to: usize) {
        self.network.cut_one_way(self.id(from), self.id(to));
    }

    /// Heals the way between two nodes, in both directions.
    ///
    /// # Panics
    /// Panics if one of the nodes does not run.
    #[track_caller]
    pub fn heal(&self, one: usize, other: usize) {
        self.network.heal(self.id(one), self.id(other));
    }

    /// Stops the broker. Each node notices it at once and serves its own clients.
    pub fn stop_broker(&self) {
        self.network.stop();
    }

    /// Starts the broker again.
    pub fn start_broker(&self) {
        self.network.start();
    }

    /// Lets the broker hang: it takes what the nodes send, and delivers nothing. The nodes stay connected, and notice
    /// each other's silence.
    pub fn hang_broker(&self) {
        self.network.hang();
    }

    /// Ends the hanging of the broker, which delivers all that it has taken.
    pub fn release_broker(&self) {
        self.network.release();
    }

    /// Ends a node without a farewell, as `kill -9` does. Its clients lose their connections, and the other nodes
    /// notice it within seconds.
    ///
    /// # Panics
    /// Panics if the node does not run, or if one of its handlers has failed.
    pub async fn kill(&mut self, number: usize) {
        self.network.forget(self.id(number));
        self.nodes[number] = None;
        self.settle().await;
    }

    /// Shuts a node down, as [`Hub::shutdown`](veltix_tokio::Hub::shutdown) does: it drains and takes its leave of
    /// the other nodes.
    ///
    /// # Panics
    /// Panics if the node does not run, or if one of its handlers has failed.
    pub async fn shutdown(&mut self, number: usize) -> ShutdownReport {
        let draining = self.node(number).hub().shutdown();
        let report = draining.await;
        self.nodes[number] = None;
        report
    }

    /// Starts a node again that was killed or shut down, with a new id and the former name. The ways to the other
    /// nodes are whole. [`connected`](Self::connected) waits until they know it.
    ///
    /// # Panics
    /// Panics if the node runs.
    pub async fn restart(&mut self, number: usize) {
        match self.nodes.get(number) {
            Some(None) => {}
            Some(Some(_)) => panic!("node {number} runs: `kill` or `shutdown` ends it"),
            None => panic!("there is no node {number} among {}", self.nodes.len()),
        }
        let node = self.serve(number).await;
        self.nodes[number] = Some(node);
    }

    /// Waits until each running node knows exactly the other running ones, and is connected to the broker.
    ///
    /// # Panics
    /// Panics if that takes more than 30 s of the test's time.
    #[track_caller]
    pub fn connected(&self) -> impl Future<Output = ()> {
        // An async function would not know its caller.
        let at = Location::caller();
        async move {
            let deadline = Instant::now() + PATIENCE;
            loop {
                self.settle().await;
                let Some(problem) = self.problem() else { return };
                assert!(Instant::now() < deadline, "{at}: after {PATIENCE:?}, {problem}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Returns what a node does not know, or knows by mistake.
    fn problem(&self) -> Option<String> {
        let handles = || {
            let numbers = (0..self.nodes.len()).filter(|number| self.nodes[*number].is_some());
            numbers.map(|number| (number, self.handle(number)))
        };
        for (number, cluster) in handles() {
            if let ClusterStatus::Degraded { reason } = &*cluster.status().borrow() {
                return Some(format!("node {number} is not connected: {reason}"));
            }
            let known = cluster.others();
            for (other, handle) in handles().filter(|(other, _)| *other != number) {
                if known.iter().all(|info| info.id != handle.node()) {
                    return Some(format!("node {number} does not know node {other}"));
                }
            }
            for info in known {
                if handles().all(|(_, handle)| handle.node() != info.id) {
                    let name = info.name;
                    return Some(format!("node {number} knows {name}, which does not run"));
                }
            }
        }
        None
    }

    /// Waits until all other tasks wait: for a message, a reply, or a later time. The clock advances by one
    /// millisecond.
    pub async fn settle(&self) {
        sleep(TICK).await;
    }

    /// Lets this much time pass. Everything that is due meanwhile happens in order and at its time, and is complete
    /// when this method returns.
    pub async fn advance(&self, time: Duration) {
        sleep(time).await;
        self.settle().await;
    }
}

impl fmt::Debug for TestCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCluster").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}
