//! Watches of the peers of all nodes.

use std::collections::BTreeSet;

use veltix_core::cluster::{DiffContent, DiffStep, WatchDiff};
use veltix_tokio::GroupEvent;

use super::super::watched::record;
use super::*;
use crate::watch::{ClusterGroupWatch, ClusterWatch, WatchEvent};

/// A reader of a watch that applies each event to a list.
struct Viewer {
    watch: ClusterWatch,
    inside: BTreeSet<PeerRef>,
    resets: usize,
}

impl Viewer {
    fn of(node: &Running, target: impl Into<Target>) -> Self {
        let watch = node.cluster().watch(target).with_tags(["room"]).start().unwrap();
        Self { watch, inside: BTreeSet::new(), resets: 0 }
    }

    /// Applies the next event. No peer enters or leaves twice.
    async fn step(&mut self) {
        match soon(self.watch.next()).await.expect("the server runs") {
            WatchEvent::Reset(members) => {
                self.resets += 1;
                self.inside = members.into_iter().map(|member| member.peer).collect();
            }
            WatchEvent::Entered(member) => assert!(self.inside.insert(member.peer), "{member:?}"),
            WatchEvent::Left(member) => assert!(self.inside.remove(&member.peer), "{member:?}"),
        }
    }

    async fn sees(&mut self, peers: &[PeerRef]) {
        let peers: BTreeSet<_> = peers.iter().copied().collect();
        while self.inside != peers || self.resets == 0 {
            self.step().await;
        }
    }

    /// Tells whether an event waits, without waiting for one.
    async fn is_idle(&mut self) -> bool {
        timeout(Duration::from_millis(1), self.watch.next()).await.is_err()
    }
}

async fn three(network: &MemoryNetwork) -> [Running; 3] {
    let nodes = [(); 3].map(|()| serve(network));
    for node in &nodes {
        node.sees(2).await;
    }
    nodes
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_the_peers_of_all_nodes() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let (_a, a) = nodes[0].named("lobby").await;
    let (_b, b) = nodes[1].named("lobby").await;
    let (_c, c) = nodes[2].named("hall").await;
    let mut lobby = Viewer::of(&nodes[0], tag("room").is("lobby"));
    let mut everyone = Viewer::of(&nodes[1], all());
    lobby.sees(&[a, b]).await;
    assert_eq!((lobby.resets, lobby.watch.missing()), (1, vec![]));
    everyone.sees(&[a, b, c]).await;
    let (d_reader, d) = nodes[2].named("lobby").await;
    lobby.sees(&[a, b, d]).await;
    everyone.sees(&[a, b, c, d]).await;
    nodes[1].hub.leave(all(), "room", "lobby").unwrap();
    lobby.sees(&[a, d]).await;
    drop(d_reader);
    lobby.sees(&[a]).await;
    everyone.sees(&[a, b, c]).await;
    // A second reader shares the watch, and begins with all members.
    let mut second = Viewer::of(&nodes[0], tag("room").is("lobby"));
    second.sees(&[a]).await;
    drop(lobby);
    let (_e, e) = nodes[1].named("lobby").await;
    second.sees(&[a, e]).await;
    // A node that ends takes its peers with it, each once.
    soon(nodes[2].hub.shutdown()).await;
    everyone.sees(&[a, b, e]).await;
    assert_eq!((second.resets, everyone.resets), (1, 1));
    assert!(second.is_idle().await && everyone.is_idle().await);
    // A node that joins later is watched as well.
    let late = serve(&network);
    late.sees(2).await;
    let (_f, f) = late.named("lobby").await;
    second.sees(&[a, e, f]).await;
    everyone.sees(&[a, b, e, f]).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_behind_a_cut_link_is_missing_and_comes_back() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let (_a, a) = nodes[0].named("lobby").await;
    let (b_reader, b) = nodes[1].named("lobby").await;
    network.cut(nodes[0].id, nodes[1].id);
    let start = Instant::now();
    let mut lobby = Viewer::of(&nodes[0], tag("room").is("lobby"));
    lobby.step().await;
    assert_eq!((start.elapsed(), lobby.inside.len()), (Duration::from_secs(2), 1));
    assert_eq!(lobby.watch.missing(), [(nodes[1].id, Missing::TimedOut)]);
    network.heal(nodes[0].id, nodes[1].id);
    lobby.sees(&[a, b]).await;
    // Changes that are lost on their way are noticed.
    network.cut(nodes[0].id, nodes[1].id);
    drop(b_reader);
    let (_c, c) = nodes[1].named("lobby").await;
    nodes[1].forgets(b).await;
    network.heal(nodes[0].id, nodes[1].id);
    let healed = Instant::now();
    lobby.sees(&[a, c]).await;
    assert!(healed.elapsed() <= Duration::from_secs(6), "{:?}", healed.elapsed());
    // A side that is cut off for longer than the lease has no members of the other one.
    network.cut(nodes[0].id, nodes[1].id);
    lobby.sees(&[a]).await;
    network.heal(nodes[0].id, nodes[1].id);
    lobby.sees(&[a, c]).await;
    assert_eq!(lobby.resets, 1);
    // Only one side takes the other for gone: its watches there begin anew.
    network.cut_one_way(nodes[0].id, nodes[1].id);
    nodes[1].sees(1).await;
    network.heal(nodes[0].id, nodes[1].id);
    nodes[1].sees(2).await;
    let (_d, d) = nodes[1].named("lobby").await;
    lobby.sees(&[a, c, d]).await;
}

async fn next(watch: &mut ClusterGroupWatch) -> GroupEvent {
    soon(watch.next()).await.expect("the server runs")
}

fn key(group: &veltix_core::Group) -> &str {
    group.key.as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_group_is_present_from_its_first_connection_to_its_last() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let grace = Duration::from_secs(10);
    let users = || nodes[0].cluster().watch(all()).by("room");
    let mut plain = users().start().unwrap();
    let mut patient = users().grace(grace).start().unwrap();
    assert_eq!(next(&mut plain).await, GroupEvent::Reset(vec![]));
    assert_eq!(next(&mut patient).await, GroupEvent::Reset(vec![]));
    let here = nodes[0].client("ada").await;
    let there = nodes[1].client("ada").await;
    let joined = next(&mut plain).await;
    assert!(matches!(&joined, GroupEvent::Joined(group) if key(group) == "ada"));
    assert_eq!(next(&mut patient).await, joined);
    drop(here);
    let (there, peer) = {
        drop(there);
        let left = next(&mut plain).await;
        assert!(matches!(&left, GroupEvent::Left(group) if key(group) == "ada"));
        // The user comes back on another node within the grace.
        nodes[2].named("ada").await
    };
    assert_eq!(next(&mut plain).await, joined);
    drop(there);
    nodes[2].forgets(peer).await;
    let gone = Instant::now();
    assert!(matches!(next(&mut patient).await, GroupEvent::Left(_)));
    assert!(gone.elapsed() >= grace && gone.elapsed() < grace + Duration::from_secs(1));
    // The groups of a killed node leave.
    let _bob = nodes[1].client("bob").await;
    assert!(matches!(next(&mut patient).await, GroupEvent::Joined(_)));
    network.forget(nodes[1].id);
    let killed = Instant::now();
    loop {
        if let GroupEvent::Left(group) = next(&mut plain).await
            && key(&group) == "bob"
        {
            break;
        }
    }
    assert!(killed.elapsed() <= Duration::from_secs(5), "{:?}", killed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_begins_anew_and_limits_hold() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let mut everyone = Viewer::of(&nodes[0], tag("mark"));
    everyone.sees(&[]).await;
    let (_a, a) = nodes[1].named("lobby").await;
    for _ in 0..1_000 {
        nodes[1].hub.tag(all(), "mark").unwrap();
        nodes[1].hub.untag(all(), "mark").unwrap();
        tokio::task::yield_now().await;
    }
    nodes[1].hub.tag(all(), "mark").unwrap();
    everyone.sees(&[a]).await;
    // A watch of another node that cannot begin is told.
    let cluster = nodes[0].cluster();
    let mut watches = Vec::new();
    let error = loop {
        match cluster.watch(tag("room").is(watches.len() as i64)).start() {
            Ok(watch) => watches.push(watch),
            Err(error) => break error,
        }
    };
    assert_eq!((watches.len(), error), (1_023, crate::WatchError::TooMany { limit: 1_024 }));
    drop(watches);
    assert!(cluster.watch(all()).start().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_end_was_lost_ends_with_its_next_change() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    let mut watch = nodes[0].cluster().watch(tag("room").is("lobby")).start().unwrap();
    assert!(soon(watch.next()).await.is_some());
    let there = nodes[1].cluster().joined().unwrap();
    assert_eq!(there.watched.len(), 1);
    network.cut_one_way(nodes[0].id, nodes[1].id);
    drop(watch);
    sleep(Duration::from_millis(10)).await;
    network.heal(nodes[0].id, nodes[1].id);
    assert_eq!(there.watched.len(), 1, "the end was lost");
    let _reader = nodes[1].client("lobby").await;
    // The end is told again with the next beat.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(there.watched.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_watch_with_very_many_names_is_understood_or_refused() {
    let network = MemoryNetwork::new();
    let nodes = [(); 2].map(|()| serve(&network));
    nodes[0].sees(1).await;
    nodes[1].sees(1).await;
    for names in [1_000, 3_000] {
        let names: Vec<_> = (0..names).map(|at| format!("name{at}")).collect();
        let begin = Instant::now();
        let Ok(mut watch) = nodes[0].cluster().watch(all()).with_tags(&names).start() else {
            continue;
        };
        assert!(soon(watch.next()).await.is_some());
        assert_eq!((watch.missing(), begin.elapsed().as_millis()), (Vec::new(), 0));
    }
    let long = "x".repeat(100_000);
    let begin = Instant::now();
    if let Ok(mut watch) = nodes[0].cluster().watch(all()).with_tags([&long]).by(&long).start() {
        assert!(soon(watch.next()).await.is_some());
        assert_eq!((watch.missing(), begin.elapsed().as_millis()), (Vec::new(), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_too_long_for_one_record_arrives_whole() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let mut readers = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..40 {
        let (reader, peer) = nodes[1].named("lobby").await;
        // Their tags alone have 40 times 60 KB.
        for value in 0..60 {
            let value = format!("{value:0>1000}");
            nodes[1].hub.get(peer.peer).unwrap().join("notes", value).unwrap();
        }
        readers.push(reader);
        peers.push(peer);
    }
    let watch = nodes[0].cluster().watch(tag("room").is("lobby")).with_tags(["notes"]);
    let mut viewer = Viewer { watch: watch.start().unwrap(), inside: BTreeSet::new(), resets: 0 };
    viewer.sees(&peers).await;
    assert_eq!((viewer.resets, viewer.watch.missing()), (1, vec![]));
    let direct = |node: &crate::NodeStats| node.node == nodes[1].id && node.direct.received > 8;
    assert!(nodes[0].cluster().stats().nodes.iter().any(direct), "it came in several records");
    // A list of which a piece is lost is asked for again, and nobody leaves for it.
    network.cut(nodes[0].id, nodes[1].id);
    drop(readers.pop());
    nodes[1].forgets(peers[39]).await;
    network.heal(nodes[0].id, nodes[1].id);
    viewer.sees(&peers[..39]).await;
    assert_eq!(viewer.resets, 1);
}

/// Connects peers whose tags have 24 MB.
async fn crowd(node: &Running) -> (Vec<Reader>, Vec<PeerRef>) {
    let (mut readers, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..400 {
        let (reader, peer) = node.named("lobby").await;
        readers.push(reader);
        peers.push(peer);
    }
    for value in 0..60 {
        node.hub.join(all(), "notes", format!("{value:0>1000}")).unwrap();
    }
    (readers, peers)
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_arriving_ends_with_its_watch_and_with_its_node() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let (_readers, peers) = crowd(&nodes[1]).await;
    let there = nodes[1].cluster().joined().unwrap();
    let watch = |node: &Running| {
        let watch = node.cluster().watch(tag("room")).with_tags(["notes"]).start().unwrap();
        Viewer { watch, inside: BTreeSet::new(), resets: 0 }
    };
    let arrives = async |node: &Running| {
        let before = received(node);
        while received(node) < before + 20 {
            tokio::task::yield_now().await;
        }
    };
    let dropped = watch(&nodes[0]);
    arrives(&nodes[0]).await;
    drop(dropped);
    let before = received(&nodes[0]);
    sleep(Duration::from_secs(2)).await;
    let more = received(&nodes[0]) - before;
    assert!(there.watched.len() == 0 && more < 100, "{more} of 180 pieces were still told");
    // Another watch has its turn, and so has one behind a node that ends.
    let mut viewer = watch(&nodes[2]);
    arrives(&nodes[2]).await;
    network.forget(nodes[2].id);
    let mut other = watch(&nodes[0]);
    other.sees(&peers).await;
    let late = watch(&nodes[0]);
    soon(nodes[1].hub.shutdown()).await;
    other.sees(&[]).await;
    viewer.step().await;
    drop(late);
}

/// Returns the number of the records of other nodes for this one alone.
fn received(node: &Running) -> u64 {
    node.cluster().stats().nodes.iter().map(|node| node.direct.received).sum()
}

#[tokio::test(start_paused = true)]
async fn lists_longer_than_a_queue_arrive_and_take_the_room_of_no_message() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let (_readers, peers) = crowd(&nodes[1]).await;
    // Their lists are told at the same time.
    let mut viewers = Vec::new();
    for (node, number) in [(0, 1), (2, 2), (0, 3)] {
        let target = tag("room").is("lobby") & !tag("number").is(number);
        let watch = nodes[node].cluster().watch(target).with_tags(["notes"]);
        let watch = watch.start().unwrap();
        viewers.push(Viewer { watch, inside: BTreeSet::new(), resets: 0 });
    }
    for viewer in &mut viewers {
        viewer.sees(&peers).await;
        assert_eq!((viewer.resets, viewer.watch.missing()), (1, vec![]));
    }
    let stats = nodes[1].cluster().stats();
    let dropped = stats.nodes.iter().map(|node| node.sent.dropped()).sum::<u64>();
    assert_eq!(dropped + stats.to_all.dropped(), 0);
}

#[test]
fn changes_that_no_node_reads_are_refused_with_a_reason() {
    let diff = |keys| {
        let group = DiffStep::Entered(veltix_core::Group::of("x".repeat(1_024).into()));
        let content = DiffContent::Groups(vec![group; keys]);
        let diff = WatchDiff { id: 1, epoch: 1, version: 1, content };
        (diff.clone(), WatchDiff::decode(record(diff).body).unwrap())
    };
    let (small, read) = diff(7_000);
    assert_eq!(small, read);
    assert!(matches!(diff(8_500).1.content, DiffContent::Refused(_)));
}

#[tokio::test(start_paused = true)]
async fn watches_whose_ends_were_lost_leave_room_for_others() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let (_b, b) = nodes[1].named("lobby").await;
    let mut watches = Vec::new();
    while let Ok(watch) = nodes[0].cluster().watch(tag("x").is(watches.len() as i64)).start() {
        watches.push(watch);
    }
    sleep(Duration::from_secs(1)).await;
    // The ends of all watches are lost, and no node is taken for gone.
    network.cut(nodes[0].id, nodes[1].id);
    drop(watches);
    sleep(Duration::from_secs(1)).await;
    network.heal(nodes[0].id, nodes[1].id);
    let mut lobby = Viewer::of(&nodes[0], tag("room").is("lobby"));
    lobby.sees(&[b]).await;
    assert_eq!(lobby.watch.missing(), []);
}

/// Answers may come later than the next question.
#[tokio::test(start_paused = true)]
async fn a_watch_begins_over_a_slow_broker() {
    let network = MemoryNetwork::new();
    let nodes = three(&network).await;
    let (_b, b) = nodes[1].named("lobby").await;
    network.hang();
    let mut lobby = Viewer::of(&nodes[0], tag("room").is("lobby"));
    let slow = async {
        loop {
            sleep(Duration::from_millis(2_500)).await;
            network.release();
            network.hang();
        }
    };
    let inside = [b];
    tokio::select! {
        () = lobby.sees(&inside) => {}
        () = slow => {}
    }
}
