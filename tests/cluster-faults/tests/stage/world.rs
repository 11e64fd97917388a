//! [`World`]: a broker, nodes and clients.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use veltix_cluster_faults::{Settings, now};

use super::{Broker, Node, Reader, soon};

/// The size of a [`World`].
pub(crate) struct Setup {
    pub(crate) nodes: u16,
    pub(crate) clients: usize,
    /// Further lines of the broker's configuration.
    pub(crate) broker: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self { nodes: 3, clients: 5, broker: "" }
    }
}

/// A cluster with clients. Each client is in the room `hall`, and every second one in `lobby`.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) nodes: Vec<Node>,
    /// The clients of each node.
    pub(crate) readers: Vec<Vec<Reader>>,
}

impl World {
    pub(crate) async fn start(test: &str, setup: Setup) -> Option<Self> {
        let broker = Broker::start(test, setup.broker).await?;
        let url = broker.url();
        let urls = (0..setup.nodes).map(|_| url.clone()).collect();
        Some(Self::with(broker, urls, setup.clients).await)
    }

    /// Starts a node for each of these URLs of a broker.
    pub(crate) async fn with(broker: Broker, urls: Vec<String>, clients: usize) -> Self {
        let nodes = urls.into_iter().enumerate().map(|(number, broker)| {
            let (number, name) = (number as u16, format!("node-{number}"));
            Node::start(Settings { number, name, broker, ..Settings::default() })
        });
        let nodes: Vec<_> = join_all(nodes).await;
        let others = nodes.len() - 1;
        join_all(nodes.iter().map(|node| node.sees(others))).await;
        let mut readers = Vec::new();
        for node in &nodes {
            readers.push(connect(node, clients).await);
        }
        Self { broker, nodes, readers }
    }

    /// Returns the clients of all nodes.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Reader> {
        self.readers.iter().flatten()
    }

    /// Waits until the clients have heard nothing for this time.
    pub(crate) async fn quiet(&self, pause: Duration) {
        soon(async {
            let heard = || self.all().map(Reader::len).sum::<usize>();
            let (mut last, mut since) = (heard(), now());
            while now() - since < pause.as_micros() as u64 {
                sleep(Duration::from_millis(20)).await;
                if heard() != last {
                    (last, since) = (heard(), now());
                }
            }
        })
        .await;
    }

    /// Returns the messages that came twice, and those that came too early, over all clients.
    pub(crate) fn faults(&self) -> (usize, usize) {
        let add = |sum: (usize, usize), it: (usize, usize)| (sum.0 + it.0, sum.1 + it.1);
        self.all().map(Reader::faults).fold((0, 0), add)
    }
}

/// Connects clients to a node.
pub(crate) async fn connect(node: &Node, clients: usize) -> Vec<Reader> {
    let clients = (0..clients).map(|number| {
        let rooms: &[&str] = if number % 2 == 0 { &["hall", "lobby"] } else { &["hall"] };
        let user = format!("{}-{number}", node.settings.name);
        async move { Reader::connect(&node.settings.addr, &user, rooms).await }
    });
    join_all(clients).await
}
