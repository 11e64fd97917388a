//! The shared parts of the cases: the nodes, and the clients of each.

use std::fmt::Debug;
use std::future::{IntoFuture, pending};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use veltix::transport::{Connector as _, MemoryConnector, memory};
use veltix::{
    Client, ClientConfig, Hub, Message, MessageType, Peer, PeerId, Router, Server, ServerConfig,
    Tag, Target, all,
};
use veltix_cluster::{Cluster, NodeDelivery, NodeId, PeerRef};

use super::place::Place;
use crate::support::{PIPE, RawPeer};

/// A message to clients.
pub(super) const SAY: MessageType = MessageType::new(300, "say", "");
/// A question to a server: the id of the asking peer.
const WHO: MessageType = MessageType::new(301, "who", "");
/// A question to a client, which replies with its name. A client of the name `mute` never replies.
pub(super) const ASK: MessageType = MessageType::new(302, "ask", "");

/// The nodes of a case, which all know each other.
pub(super) struct Scene<P> {
    pub(super) place: P,
    pub(super) nodes: Vec<Node>,
}

/// A running server.
pub(super) struct Node {
    pub(super) hub: Hub,
    pub(super) cluster: Cluster,
    pub(super) connector: MemoryConnector,
    pub(super) task: JoinHandle<()>,
}

/// A connected client with the messages that it has received.
pub(super) struct Reader {
    pub(super) peer: PeerRef,
    /// Its drop ends the connection.
    _client: Client,
    heard: UnboundedReceiver<Message>,
}

/// Waits for a call, which must end.
pub(super) async fn soon<T>(wait: impl IntoFuture<Output = T>) -> T {
    timeout(Duration::from_secs(30), wait.into_future()).await.expect("it ends in time")
}

/// Looks again and again until the value is the expected one.
pub(super) async fn becomes<T: PartialEq + Debug>(expected: T, mut look: impl AsyncFnMut() -> T) {
    let mut last = None;
    let reached = timeout(Duration::from_secs(30), async {
        loop {
            let seen = look().await;
            if seen == expected {
                return;
            }
            last = Some(seen);
            sleep(Duration::from_millis(5)).await;
        }
    });
    let reached = reached.await;
    assert!(reached.is_ok(), "{last:?} does not become {expected:?}");
}

pub(super) fn say(text: &str) -> Message {
    Message::from_text(SAY, text)
}

pub(super) fn ask() -> Message {
    Message::empty(ASK)
}

/// Returns the routes of each server.
pub(super) fn router() -> Router {
    Router::new().route(WHO, |peer: Peer| peer.id().value().to_string())
}

/// Returns a config with which nothing but the case closes a connection.
pub(super) fn patient() -> ServerConfig {
    ServerConfig::default().write_stall(None).heartbeat(None)
}

/// Returns the delivery to this number of other nodes.
pub(super) fn reaches(nodes: usize) -> NodeDelivery {
    NodeDelivery::of(nodes, true)
}

impl<P: Place> Scene<P> {
    pub(super) async fn new(place: P) -> Self {
        Self::with(place, |_| (ServerConfig::default(), PIPE)).await
    }

    /// Starts the nodes, each with a config and with this number of bytes in the pipes to its clients.
    pub(super) async fn with(place: P, config: impl Fn(usize) -> (ServerConfig, usize)) -> Self {
        let mut scene = Self { place, nodes: Vec::new() };
        for at in 0..P::NODES {
            let (config, pipe) = config(at);
            scene.add(config, pipe).await;
        }
        scene.meet(P::NODES - 1).await;
        scene
    }

    /// Starts another node.
    pub(super) async fn add(&mut self, config: ServerConfig, pipe: usize) {
        let (listener, connector) = memory(pipe);
        let server = Server::with_listener(listener, config, router()).expect("the config works");
        let server = self.place.join(server).await;
        let hub = server.hub();
        let task = tokio::spawn(async move { server.run().await.expect("it runs") });
        self.nodes.push(Node { cluster: Cluster::of(&hub), hub, connector, task });
    }

    /// Waits until each node knows this number of others.
    pub(super) async fn meet(&self, others: usize) {
        for node in &self.nodes {
            becomes(others, async || node.cluster.others().len()).await;
        }
    }

    /// Waits until each node knows the tags that the peers of the others hold now: a node answers behind the
    /// news of them.
    pub(super) async fn agree(&self) {
        for node in &self.nodes {
            // Nodes of the case's own making do not answer.
            let _ = soon(node.cluster.count(all())).await.expect("the target is within limits");
        }
    }

    /// Connects this number of clients to each node, named by the number of the node and their own one.
    pub(super) async fn readers(&self, each: usize) -> Vec<Reader> {
        let mut readers = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            for number in 0..each {
                readers.push(node.client(&format!("{at}.{number}")).await);
            }
        }
        self.agree().await;
        readers
    }

    /// Returns what each reader hears: the end of each node is behind all that it has sent before.
    pub(super) async fn hear(&self, readers: &mut [Reader]) -> Vec<Vec<String>> {
        for node in &self.nodes {
            node.say_to(all(), "end");
        }
        let mut heard = Vec::new();
        for reader in readers {
            let mut texts = Vec::new();
            for _ in &self.nodes {
                texts.extend(reader.until("end").await);
            }
            assert!(reader.has_heard_all(), "{}", reader.peer);
            heard.push(texts);
        }
        heard
    }

    /// Returns the node of a peer.
    pub(super) fn home(&self, peer: PeerRef) -> &Node {
        self.nodes.iter().find(|node| node.id() == peer.node).expect("it is a node of the case")
    }

    /// Tags a peer on its node.
    pub(super) fn tag(&self, reader: &Reader, tag: impl Into<Tag>) {
        let peer = self.home(reader.peer).hub.get(reader.peer.peer).expect("it is connected");
        peer.set_tag(tag).expect("the tag is allowed");
    }
}

impl Node {
    pub(super) const fn id(&self) -> NodeId {
        self.cluster.node()
    }

    /// Connects a client of this name.
    pub(super) async fn client(&self, name: &str) -> Reader {
        let (tell, heard) = unbounded_channel();
        let name = name.to_owned();
        let router = Router::new()
            // The case may have dropped the reader.
            .route(SAY, move |message: Message| drop(tell.send(message)))
            .route(ASK, move || reply(name.clone()));
        let client = Client::connect_with(self.connector.clone(), ClientConfig::default(), router);
        let client = soon(client).await.expect("it connects");
        let id = soon(client.request(&Message::empty(WHO))).await.expect("the server replies");
        let peer = PeerId::new(id.text().unwrap().parse().unwrap());
        Reader { peer: PeerRef { node: self.id(), peer }, _client: client, heard }
    }

    /// Connects a client that reads nothing behind its handshake.
    pub(super) async fn stalled(&self) -> (RawPeer, Peer) {
        let before = self.hub.list(all()).unwrap();
        let mut raw = RawPeer::new(self.connector.connect().await.expect("the server listens"));
        raw.shake_hands().await.expect("the handshake works");
        becomes(before.len() + 1, async || self.hub.count(all()).unwrap()).await;
        let is_new = |peer: &Peer| before.iter().all(|old| old.id() != peer.id());
        let peer = self.hub.list(all()).unwrap().into_iter().find(is_new);
        (raw, peer.expect("it is connected"))
    }

    /// Sends a text to the peers of all nodes.
    pub(super) fn say_to(&self, target: impl Into<Target>, text: &str) {
        self.hub.to(target).send(&say(text)).expect("it is sent");
    }
}

async fn reply(name: String) -> String {
    if name == "mute" {
        pending::<()>().await;
    }
    name
}

impl Reader {
    /// Returns the next message.
    pub(super) async fn next(&mut self) -> Message {
        soon(self.heard.recv()).await.expect("the client is connected")
    }

    /// Returns the texts before this one.
    pub(super) async fn until(&mut self, end: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let message = self.next().await;
            let text = message.text().expect("it is a text");
            if text == end {
                return heard;
            }
            heard.push(text.to_owned());
        }
    }

    /// Checks that no message has arrived.
    pub(super) fn has_heard_all(&self) -> bool {
        self.heard.is_empty()
    }
}
