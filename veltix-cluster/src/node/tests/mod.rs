//! Servers of one cluster: in memory, and over a NATS server.

mod calls;
mod changes;
mod ending;
mod foreign;
mod hostile;
mod interested;
mod knocking;
mod limits;
#[cfg(feature = "nats")]
mod nats;
mod watching;

use std::future::{Future, IntoFuture};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};
use veltix_core::cluster::{LeaveReason, NodeId, PeerRef};
use veltix_core::{Message, MessageType, TagValue, Target, all, tag};
use veltix_tokio::transport::{MemoryConnector, memory};
use veltix_tokio::{Client, ClientConfig, Hub, NodeDelivery, Peer, Router, Server, ServerConfig};

use crate::backplane::Backplane;
use crate::cluster::Cluster;
use crate::engine::memory::MemoryNetwork;
use crate::events::ClusterEvent;
use crate::gathered::Missing;
use crate::joining::Joining;
use crate::status::ClusterStatus;

const SAY: MessageType = MessageType::new(300, "say", "");
const JOIN: MessageType = MessageType::new(301, "join", "");
/// A question to a client, which answers with its room. A client of the room `mute` never answers.
const ASK: MessageType = MessageType::new(302, "ask", "");

/// A running server of a cluster.
struct Running {
    id: NodeId,
    hub: Hub,
    connector: MemoryConnector,
}

/// A connected client with the messages that it has received.
struct Reader {
    client: Client,
    heard: UnboundedReceiver<String>,
}

async fn soon<T>(wait: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), wait).await.expect("it ends in time")
}

fn serve(network: &MemoryNetwork) -> Running {
    serve_with(Joining::new(network.engine()))
}

fn serve_with(joining: Joining<impl Backplane>) -> Running {
    let (listener, connector) = memory(64 * 1024);
    let router = Router::new()
        .route(JOIN, |peer: Peer, room: &str| peer.join("room", room).map(|_| "joined"))
        .route(SAY, |hub: Hub, peer: Peer, message: Message| {
            hub.to(tag("room").is("lobby")).except(&peer).send(&message).map(drop)
        });
    let server = Server::with_listener(listener, ServerConfig::default(), router).unwrap();
    let id = joining.node();
    let server = server.cluster(joining);
    let hub = server.hub();
    tokio::spawn(server.run());
    Running { id, hub, connector }
}

impl Running {
    /// Connects a client, and returns it with the name of its peer.
    async fn named(&self, room: &str) -> (Reader, PeerRef) {
        let before = self.hub.list(all()).unwrap();
        let reader = self.client(room).await;
        let is_new = |peer: &Peer| before.iter().all(|old| old.id() != peer.id());
        let peer = self.hub.list(all()).unwrap().into_iter().find(is_new).unwrap();
        (reader, PeerRef { node: self.id, peer: peer.id() })
    }

    /// Waits until the connection of a peer has ended.
    async fn forgets(&self, peer: PeerRef) {
        soon(async {
            while self.hub.get(peer.peer).is_some() {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    fn cluster(&self) -> Cluster {
        Cluster::of(&self.hub)
    }

    async fn client(&self, room: &str) -> Reader {
        let (tell, heard) = unbounded_channel();
        let asked = room.to_owned();
        let router = Router::new()
            .route(SAY, move |body: &[u8]| {
                tell.send(String::from_utf8_lossy(body).into_owned()).expect("the test listens");
            })
            .route(ASK, move || {
                let room = asked.clone();
                async move {
                    if room == "mute" {
                        std::future::pending::<()>().await;
                    }
                    room
                }
            });
        let connector = self.connector.clone();
        let client = Client::connect_with(connector, ClientConfig::default(), router);
        let client = soon(client).await.unwrap();
        soon(client.request(&Message::from_text(JOIN, room))).await.unwrap();
        Reader { client, heard }
    }

    /// Waits until this node knows that number of other nodes.
    async fn sees(&self, nodes: usize) {
        soon(async {
            while self.cluster().others().len() != nodes {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_the_peers_of_all_nodes_once() {
    let network = MemoryNetwork::new();
    let nodes = [(); 3].map(|()| serve(&network));
    for node in &nodes {
        node.sees(2).await;
    }
    let mut readers = Vec::new();
    for node in &nodes {
        readers.push(node.client("lobby").await);
        readers.push(node.client("hall").await);
    }
    for number in 0..100 {
        let text = Message::from_text(SAY, number.to_string());
        readers[0].client.send(&text).await.unwrap();
    }
    let end = Message::from_text(SAY, "end");
    soon(async {
        while readers[2].heard.len() < 100 || readers[4].heard.len() < 100 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let delivery = nodes[0].hub.broadcast(&end).unwrap();
    assert_eq!((delivery.matched, delivery.nodes), (2, NodeDelivery::of(2, true)));
    for (at, reader) in readers.iter_mut().enumerate() {
        let hears = (at == 2 || at == 4).then_some(0..100).into_iter().flatten();
        for number in hears {
            assert_eq!(soon(reader.heard.recv()).await, Some(number.to_string()), "{at}");
        }
        assert_eq!(soon(reader.heard.recv()).await, Some("end".to_owned()), "{at}");
        assert!(reader.heard.is_empty());
    }
    let local = nodes[0].hub.to(all()).local().send(&end).unwrap();
    assert_eq!((local.matched, local.nodes), (2, NodeDelivery::default()));
    for node in &nodes {
        soon(node.hub.shutdown()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_largest_messages_arrive_whole_and_in_order() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    let mut there = nodes[1].client("lobby").await;
    let sizes = [1, 9 << 20, 10, 5 << 20, 600 << 10, 3];
    for size in sizes {
        let delivery = nodes[0].hub.broadcast(&Message::from_text(SAY, "x".repeat(size))).unwrap();
        assert_eq!(delivery.nodes, NodeDelivery::of(1, true));
    }
    for size in sizes {
        assert_eq!(soon(there.heard.recv()).await.map(|text| text.len()), Some(size));
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_asks_all_nodes_and_names_those_that_are_missing() {
    let network = MemoryNetwork::new();
    let nodes = [(); 3].map(|()| serve(&network));
    for node in &nodes {
        node.sees(2).await;
    }
    let mut readers = Vec::new();
    for (node, room) in [(0, "lobby"), (1, "lobby"), (2, "lobby"), (2, "hall")] {
        readers.push(nodes[node].client(room).await);
    }
    let cluster = Cluster::of(&nodes[0].hub);
    let count = async |target: Target| soon(cluster.count(target).into_future()).await.unwrap();
    assert_eq!(count(all()).await.complete().unwrap(), 4);
    assert_eq!(count(tag("room").is("lobby")).await.complete().unwrap(), 3);
    assert_eq!(cluster.others().len(), 2);
    let lobby = cluster.list(tag("room").is("lobby")).with_tags(["room"]);
    let members = soon(lobby.clone().into_future()).await.unwrap().complete().unwrap();
    let mut homes: Vec<_> = members.iter().map(|member| member.peer.node).collect();
    homes.sort_unstable();
    let mut ids: Vec<_> = nodes.iter().map(|node| node.id).collect();
    ids.sort_unstable();
    assert_eq!(homes, ids);
    assert!(members.iter().all(|it| it.tag("room").and_then(TagValue::as_str) == Some("lobby")));
    let short = soon(lobby.limit(2).into_future()).await.unwrap();
    assert_eq!((short.value.len(), short.missing.len()), (2, 1));
    assert_eq!(short.missing[0].1, Missing::Truncated);
    // A node behind a cut link does not answer in time, and one that has gone is named at once.
    network.cut(nodes[0].id, nodes[1].id);
    let start = Instant::now();
    let partial = count(tag("room").is("lobby")).await;
    assert_eq!((partial.value, start.elapsed().as_secs()), (2, 2));
    assert_eq!(partial.missing, [(nodes[1].id, Missing::TimedOut)]);
    network.heal(nodes[0].id, nodes[1].id);
    network.forget(nodes[1].id);
    let start = Instant::now();
    let partial = count(all()).await;
    assert_eq!((partial.value, partial.missing), (3, vec![(nodes[1].id, Missing::Gone)]));
    assert_eq!(start.elapsed(), Duration::ZERO);
    // A server without a cluster is one of one node.
    let (listener, _) = memory(1024);
    let alone = Server::with_listener(listener, ServerConfig::default(), Router::new()).unwrap();
    let cluster = Cluster::of(&alone.hub());
    assert_eq!(cluster.node(), Cluster::of(&alone.hub()).node());
    assert_eq!(soon(cluster.count(all()).into_future()).await.unwrap().complete().unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn nodes_leave_by_their_farewell_or_by_their_lease() {
    let network = MemoryNetwork::new();
    let nodes = [(); 3].map(|()| serve(&network));
    for node in &nodes {
        node.sees(2).await;
    }
    let mut events = Cluster::of(&nodes[0].hub).events();
    soon(nodes[2].hub.shutdown()).await;
    let left = ClusterEvent::NodeLeft { node: nodes[2].id, reason: LeaveReason::Bye };
    assert_eq!(soon(events.next()).await, Some(left));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    network.cut(nodes[0].id, nodes[1].id);
    nodes[0].sees(0).await;
    network.heal(nodes[0].id, nodes[1].id);
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_hung_broker_has_kept_for_too_long_is_dropped() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let mut there = nodes[1].client("lobby").await;
    let send = |text: &str| nodes[0].hub.broadcast(&Message::from_text(SAY, text)).unwrap();
    network.hang();
    send("old");
    sleep(Duration::from_secs(4)).await;
    send("fresh");
    sleep(Duration::from_secs(3)).await;
    let mut events = Cluster::of(&nodes[1].hub).events();
    network.release();
    assert_eq!(soon(there.heard.recv()).await.as_deref(), Some("fresh"));
    let stale = ClusterEvent::Stale { node: nodes[0].id, dropped: 1 };
    assert_eq!(soon(events.next()).await, Some(stale));
}

#[tokio::test(start_paused = true)]
async fn the_time_to_live_counts_from_the_call() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let mut there = nodes[1].client("lobby").await;
    let send = |text: &str| nodes[0].hub.broadcast(&Message::from_text(SAY, text)).unwrap();
    network.stop();
    send("old");
    sleep(Duration::from_secs(3)).await;
    send("fresh");
    network.hang();
    network.start();
    sleep(Duration::from_secs(3)).await;
    network.release();
    assert_eq!(soon(there.heard.recv()).await.as_deref(), Some("fresh"));
}

#[tokio::test(start_paused = true)]
async fn without_a_broker_the_node_serves_its_own_peers() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let mut here = nodes[0].client("lobby").await;
    let mut there = nodes[1].client("lobby").await;
    let mut events = Cluster::of(&nodes[0].hub).events();
    network.stop();
    let waits = nodes[0].hub.broadcast(&Message::from_text(SAY, "waits")).unwrap();
    assert_eq!((waits.queued, waits.nodes), (1, NodeDelivery::of(1, true)));
    assert_eq!(soon(here.heard.recv()).await.as_deref(), Some("waits"));
    assert!(matches!(soon(events.next()).await, Some(ClusterEvent::Degraded { .. })));
    assert!(matches!(
        *Cluster::of(&nodes[0].hub).status().borrow(),
        ClusterStatus::Degraded { .. }
    ));
    network.start();
    assert_eq!(soon(there.heard.recv()).await.as_deref(), Some("waits"));
    assert!(matches!(soon(events.next()).await, Some(ClusterEvent::Recovered { .. })));
    assert_eq!(*Cluster::of(&nodes[0].hub).status().borrow(), ClusterStatus::Connected);
    network.stop();
    sleep(Duration::from_secs(6)).await;
    let refused = nodes[0].hub.broadcast(&Message::from_text(SAY, "refused")).unwrap();
    assert_eq!((refused.queued, refused.nodes), (1, NodeDelivery::of(1, false)));
    assert_eq!(soon(here.heard.recv()).await.as_deref(), Some("refused"));
    network.start();
    nodes[1].sees(1).await;
    nodes[0].hub.broadcast(&Message::from_text(SAY, "back")).unwrap();
    assert_eq!(soon(there.heard.recv()).await.as_deref(), Some("back"));
}
