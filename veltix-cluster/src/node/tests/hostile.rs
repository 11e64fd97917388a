//! Nodes that invent numbers, leave records unfinished, or are no members.

use std::slice::from_ref;
use std::sync::Arc;

use bytes::Bytes;
use veltix_core::cluster::{
    AnswerContent, BatchHead, BatchWriter, DiffContent, FrameRecord, InterestSyncAsk, NodeAnswer,
    NodeAsk, NodeCall, NodeStatus, NodeWatch, Part, PeerOutcome, PeerReply, Question, Record,
    RecordKind, Roster, WatchDiff, WatchForm,
};
use veltix_core::limits::{CLUSTER_ASSEMBLY, CLUSTER_REASON_LEN, SURVEY_BYTES};
use veltix_core::{Frame, PeerId};
use veltix_tokio::{RequestError, Response};

use super::*;
use crate::backplane::{ClusterInbox, Destination, EngineState, Receive};
use crate::engine::memory::Memory;

struct Deaf;

impl Receive for Deaf {
    fn received(&self, _: Bytes) {}
    fn state(&self, _: EngineState) {}
    fn unreachable(&self, _: NodeId, _: u64) {}
}

/// A node that publishes any bytes, and hears nothing.
struct Stranger {
    me: NodeId,
    engine: Memory,
    _deaf: Arc<dyn Receive>,
}

impl Stranger {
    async fn join(network: &MemoryNetwork, number: u64) -> Self {
        let deaf: Arc<dyn Receive> = Arc::new(Deaf);
        let me = NodeId::of_random(number);
        let mut engine = network.engine();
        engine.start(me, ClusterInbox::new(Arc::downgrade(&deaf))).await.unwrap();
        Self { me, engine, _deaf: deaf }
    }

    async fn publish(&mut self, to: Destination, first: u64, records: &[Record]) {
        let (origin, target) = (self.me, to.node());
        let head = BatchHead { version: 1, origin, to: target, first, all_before: 0, clock: 0 };
        let mut writer = BatchWriter::new(&head);
        records.iter().for_each(|record| assert!(writer.add(record)));
        self.engine.publish(to, writer.finish()).await.unwrap();
    }
}

fn says(text: &str) -> Record {
    let frame = Frame::from(Message::from_text(SAY, text));
    FrameRecord::encode(NodeId::of_random(77), &all(), &[], &frame).unwrap()
}

fn heartbeat(all: u64, direct: Vec<(NodeId, u64)>) -> Record {
    let status = NodeStatus {
        name: "stranger".into(),
        wire: 1..=1,
        capabilities: super::super::capabilities::ALL,
        types: 0,
        peers: u64::MAX,
        interest: 0,
        all,
        direct,
    };
    Record { kind: RecordKind::Heartbeat, body: status.encode() }
}

#[tokio::test(start_paused = true)]
async fn numbers_at_the_end_of_their_range_stop_nothing() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    let other = serve(&network);
    node.sees(1).await;
    let mut reader = node.client("lobby").await;
    let mut stranger = Stranger::join(&network, 77).await;
    let here = Destination::Node(node.id);
    stranger.publish(Destination::All, 0, &[says("zero")]).await;
    stranger.publish(here, 0, &[says("zero")]).await;
    stranger.publish(Destination::All, u64::MAX, &[says("last"), says("behind")]).await;
    stranger.publish(here, u64::MAX - 1, &[says("last"), says("last"), says("behind")]).await;
    let news = heartbeat(u64::MAX, vec![(node.id, u64::MAX)]);
    stranger.publish(Destination::All, 1, &[news]).await;
    // The reports add the numbers of both streams.
    sleep(Duration::from_secs(3)).await;
    other.hub.broadcast(&Message::from_text(SAY, "end")).unwrap();
    soon(async { while reader.heard.recv().await.as_deref() != Some("end") {} }).await;
    // The node still beats.
    sleep(Duration::from_secs(20)).await;
    assert_eq!(other.cluster().others().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn unfinished_records_take_no_room_for_ever() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    let sender = serve(&network);
    node.sees(1).await;
    sender.sees(1).await;
    let mut reader = node.client("lobby").await;
    let whole = Record { kind: RecordKind::Frame, body: vec![0; 12 << 20].into() };
    let begun = Part::of(&whole, 0, 10 << 20).unwrap().encode();
    let mut held = 0;
    for number in 100..107 {
        // Each is a node that begins a large message, goes on with another one, and lives.
        let mut stranger = Stranger::join(&network, number).await;
        stranger.publish(Destination::All, 1, from_ref(&begun)).await;
        stranger.publish(Destination::All, 2, &[heartbeat(2, Vec::new())]).await;
        held += 10 << 20;
    }
    assert!(held > CLUSTER_ASSEMBLY);
    sender.hub.broadcast(&Message::from_text(SAY, "x".repeat(9 << 20))).unwrap();
    assert_eq!(soon(reader.heard.recv()).await.map(|text| text.len()), Some(9 << 20));
}

#[tokio::test(start_paused = true)]
async fn unfinished_records_of_strangers_take_no_room_for_ever() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    let sender = serve(&network);
    node.sees(1).await;
    sender.sees(1).await;
    let mut reader = node.client("lobby").await;
    let whole = Record { kind: RecordKind::Frame, body: vec![0; 12 << 20].into() };
    let begun = Part::of(&whole, 0, 10 << 20).unwrap().encode();
    for number in 100..107 {
        // Each ends in the middle of the message, and was no member: the cluster has too many nodes.
        let mut stranger = Stranger::join(&network, number).await;
        stranger.publish(Destination::All, 1, from_ref(&begun)).await;
    }
    sleep(Duration::from_secs(11)).await;
    sender.hub.broadcast(&Message::from_text(SAY, "x".repeat(9 << 20))).unwrap();
    assert_eq!(soon(reader.heard.recv()).await.map(|text| text.len()), Some(9 << 20));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_no_member_gets_no_watch() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    sleep(Duration::from_secs(1)).await;
    let form = WatchForm::Members(Vec::new());
    let watch = NodeWatch { id: 1, epoch: 1, target: all(), form }.encode().unwrap();
    for number in 1_000..1_100 {
        let mut stranger = Stranger::join(&network, number).await;
        stranger.publish(Destination::Node(node.id), 1, from_ref(&watch)).await;
    }
    sleep(Duration::from_secs(30)).await;
    assert_eq!(node.cluster().joined().unwrap().watched.len(), 0);
    let mut member = Stranger::join(&network, 1_000).await;
    member.publish(Destination::All, 1, &[heartbeat(1, Vec::new())]).await;
    member.publish(Destination::Node(node.id), 2, &[watch]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(node.cluster().joined().unwrap().watched.len(), 1);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(node.cluster().joined().unwrap().watched.len(), 0, "the member has gone");
}

#[tokio::test(start_paused = true)]
async fn a_sum_of_invented_counts_is_the_largest_number() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    sleep(Duration::from_secs(1)).await;
    let mut strangers = Vec::new();
    for number in [77, 78] {
        let mut stranger = Stranger::join(&network, number).await;
        stranger.publish(Destination::All, 1, &[heartbeat(1, Vec::new())]).await;
        strangers.push(stranger);
    }
    node.sees(2).await;
    for (at, is_change) in [(1, false), (2, true)] {
        let cluster = node.cluster();
        let counted = tokio::spawn(async move {
            if is_change {
                cluster.untag(all(), "room").await.unwrap().value
            } else {
                cluster.count(all()).await.unwrap().value
            }
        });
        sleep(Duration::from_millis(10)).await;
        for stranger in &mut strangers {
            let answer = NodeAnswer { id: at, content: AnswerContent::Count(u64::MAX) }.encode();
            stranger.publish(Destination::Node(node.id), at, &[answer]).await;
        }
        assert_eq!(soon(counted).await.unwrap(), usize::MAX);
    }
}

/// A node that leaves and joins at the same moment is a member with an interest, or is none: each change is one
/// step with its consequences.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_change_only_under_the_lock_of_the_receiver() {
    let network = MemoryNetwork::new();
    let (node, other) = (serve(&network), serve(&network));
    node.sees(1).await;
    other.sees(1).await;
    let here = node.cluster().joined().unwrap();
    let receiving = here.receiving();
    let id = other.id;
    let unreachable = {
        let here = Arc::clone(&here);
        std::thread::spawn(move || {
            // The node was silent for long enough.
            let long_ago = Instant::now().into_std() - Duration::from_secs(5);
            here.members().reconnected(long_ago);
            Receive::unreachable(&*here, id, 0);
        })
    };
    std::thread::sleep(Duration::from_millis(50));
    assert!(here.members().get(id).is_some(), "it has left while a batch is received");
    drop(receiving);
    unreachable.join().unwrap();
    // It lives, and joins again.
    node.sees(1).await;
}

#[tokio::test(start_paused = true)]
async fn questions_for_all_tags_are_answered_once_a_second() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    sleep(Duration::from_secs(1)).await;
    let mut stranger = Stranger::join(&network, 77).await;
    stranger.publish(Destination::All, 1, &[heartbeat(1, Vec::new())]).await;
    for number in 0..1_000 {
        stranger.publish(Destination::Node(node.id), 1 + number, &[InterestSyncAsk.encode()]).await;
    }
    sleep(Duration::from_millis(10)).await;
    let id = stranger.me;
    let sent = || {
        let stats = node.cluster().stats();
        stats.nodes.iter().find(|it| it.node == id).unwrap().sent.offered
    };
    let first = sent();
    assert!((1..=3).contains(&first), "{first}");
    sleep(Duration::from_secs(1)).await;
    let again = &[InterestSyncAsk.encode()];
    let before = sent();
    stranger.publish(Destination::Node(node.id), 2_000, again).await;
    sleep(Duration::from_millis(10)).await;
    assert_eq!(sent(), before + 1, "it is answered again");
}

/// The reasons of failed responses wait for their reader as replies do.
#[tokio::test(start_paused = true)]
async fn responses_that_wait_have_a_limit_whatever_they_are() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    sleep(Duration::from_secs(1)).await;
    let mut stranger = Stranger::join(&network, 77).await;
    stranger.publish(Destination::All, 1, &[heartbeat(1, Vec::new())]).await;
    node.sees(1).await;
    let mut survey = node.cluster().to(all()).request(&Message::from_text(ASK, "?")).unwrap();
    assert!(timeout(Duration::from_millis(1), survey.next()).await.is_err());
    let number = SURVEY_BYTES / CLUSTER_REASON_LEN + 100;
    let peers: Vec<_> = (0..number as u64).map(PeerId::new).collect();
    let here = Destination::Node(node.id);
    stranger.publish(here, 1, &[Roster { id: 1, peers: Ok(peers.clone()) }.encode()]).await;
    let reason: Arc<str> = "x".repeat(CLUSTER_REASON_LEN).into();
    for (at, peer) in peers.into_iter().enumerate() {
        let outcome = PeerOutcome::Failed(Arc::clone(&reason));
        let reply = PeerReply { id: 1, peer, outcome }.encode();
        stranger.publish(here, 2 + at as u64, &[reply]).await;
    }
    let mut congested = 0;
    while let Some((_, response)) = soon(survey.next()).await {
        let Response::Failed(error) = response else { panic!("{response:?}") };
        congested += usize::from(matches!(error, RequestError::Congested { .. }));
    }
    assert_eq!(congested, 100);
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_node_that_is_no_member_end_with_its_lease() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    let _mute = node.client("mute").await;
    let mut stranger = Stranger::join(&network, 77).await;
    let frame = Frame::from(Message::from_text(ASK, "?"));
    let call = NodeCall::encode(1, Duration::from_secs(1_000_000), &all(), &[], &frame).unwrap();
    stranger.publish(Destination::Node(node.id), 1, &[call]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(node.cluster().joined().unwrap().served.len(), 1);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(node.cluster().joined().unwrap().served.len(), 0);
}

/// Answers are made in between other tasks: otherwise they fill the queue before its publisher runs.
#[tokio::test]
async fn questions_in_any_number_stop_no_other_task() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    sleep(Duration::from_millis(10)).await;
    let mut stranger = Stranger::join(&network, 77).await;
    let question = Question::Count(all());
    let ask = NodeAsk { id: 1, timeout: Duration::from_secs(10), question }.encode();
    let asks = vec![ask; 16_000];
    let here = node.cluster().joined().unwrap();
    stranger.publish(Destination::Node(node.id), 1, &asks).await;
    let (mut turns, mut most) = (0, 0);
    while here.inbound.bytes() > 0 {
        tokio::task::yield_now().await;
        let full = here.outbound.counts().1;
        most = full.iter().map(|(_, counts)| counts.queued).max().unwrap_or(0).max(most);
        turns += 1;
    }
    assert!(turns > 3 && most < 8_000, "{turns} turns, {most} answers in the queue");
}

#[tokio::test(start_paused = true)]
async fn changes_that_nobody_watches_are_answered_once_a_beat() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    sleep(Duration::from_secs(1)).await;
    let content = DiffContent::Members(Vec::new());
    let diff = WatchDiff { id: 7, epoch: 1, version: 1, content }.encode();
    let diffs = vec![diff; 60_000];
    let sent = |id| {
        let stats = node.cluster().stats();
        stats.nodes.iter().find(|it| it.node == id).map_or(0, |it| it.sent.offered)
    };
    let mut stranger = Stranger::join(&network, 78).await;
    stranger.publish(Destination::Node(node.id), 1, &diffs).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(sent(stranger.me), 0, "it is no member");
    let mut member = Stranger::join(&network, 77).await;
    member.publish(Destination::All, 1, &[heartbeat(1, Vec::new())]).await;
    sleep(Duration::from_millis(100)).await;
    let before = sent(member.me);
    member.publish(Destination::Node(node.id), 1, &diffs).await;
    sleep(Duration::from_millis(1_100)).await;
    let answers = sent(member.me) - before;
    assert!((1..=3).contains(&answers), "{answers}");
    assert_eq!(node.cluster().stats().to_all.full, 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_with_the_answer_to_another_question_is_missing() {
    let network = MemoryNetwork::new();
    let node = serve(&network);
    sleep(Duration::from_secs(1)).await;
    let mut stranger = Stranger::join(&network, 77).await;
    stranger.publish(Destination::All, 1, &[heartbeat(1, Vec::new())]).await;
    node.sees(1).await;
    for at in 1..=3 {
        let cluster = node.cluster();
        let asked = tokio::spawn(async move {
            match at {
                1 => cluster.count(all()).await.unwrap().missing,
                2 => cluster.list(all()).await.unwrap().missing,
                _ => cluster.untag(all(), "room").await.unwrap().missing,
            }
        });
        sleep(Duration::from_millis(10)).await;
        let content = match at {
            2 => AnswerContent::Count(7),
            _ => AnswerContent::Members { members: Vec::new(), truncated: false },
        };
        let answer = NodeAnswer { id: at, content }.encode();
        stranger.publish(Destination::Node(node.id), at, &[answer]).await;
        assert_eq!(soon(asked).await.unwrap(), [(stranger.me, Missing::Unsupported)], "{at}");
    }
}
