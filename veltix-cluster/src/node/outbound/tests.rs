use std::pin::pin;

use futures::FutureExt as _;
use veltix_core::cluster::Batch;
use veltix_core::limits::{CLUSTER_BATCH, CLUSTER_HOLD, CLUSTER_PART, CLUSTER_QUEUE_BYTES};

use super::*;

const ME: NodeId = NodeId::new(1).unwrap();
const OTHER: Destination = Destination::Node(NodeId::new(2).unwrap());

fn record(length: usize) -> Record {
    Record { kind: RecordKind::Frame, body: vec![7; length].into() }
}

fn format() -> Format {
    Format { origin: ME, version: 1, started: Instant::now(), limit: 1 << 20 }
}

/// Returns the sums of the two streams, and the number of the records that wait.
fn counts(queue: &Outbound) -> SentRecords {
    let (mut counts, direct, _) = queue.counts();
    direct.iter().for_each(|(_, direct)| counts.add(direct));
    counts
}

fn online() -> Outbound {
    let (listener, _) = veltix_tokio::transport::memory(1);
    let (config, router) = (veltix_tokio::ServerConfig::default(), veltix_tokio::Router::new());
    let server = veltix_tokio::Server::with_listener(listener, config, router).unwrap();
    let held = server.hub().held_bytes();
    let queue = Outbound::new(&ClusterConfig::default(), held, Instant::now());
    queue.set_online([], Instant::now());
    queue
}

/// Takes a batch that is there: its destination, and its first number and the number of its records.
async fn next(queue: &Outbound) -> (Destination, u64, usize) {
    let batch = queue.next(format).await.expect("it is open");
    queue.published((batch.to, batch.records), Ok(()));
    let read = Batch::read(batch.bytes).unwrap();
    (batch.to, read.head().first, read.count())
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_for_one_destination_and_keeps_the_order() {
    let (queue, now) = (online(), Instant::now());
    for to in [Destination::All, Destination::All, OTHER, OTHER, Destination::All] {
        assert!(queue.push(to, record(10), now).queued);
    }
    assert_eq!(next(&queue).await, (Destination::All, 1, 2));
    assert_eq!(next(&queue).await, (OTHER, 1, 2));
    assert_eq!(next(&queue).await, (Destination::All, 3, 1));
    for _ in 0..3 {
        assert!(queue.push(OTHER, record(CLUSTER_BATCH / 2), now).queued);
    }
    assert_eq!(next(&queue).await.2, 1, "64 KiB in a batch");
}

#[tokio::test(start_paused = true)]
async fn no_batch_is_larger_than_the_broker_takes() {
    let (queue, now) = (online(), Instant::now());
    for limit in [2_000, 4_000, 64 << 10] {
        let format = || Format { limit, ..format() };
        (0..200).for_each(|_| assert!(queue.push(OTHER, record(900), now).queued));
        while counts(&queue).queued > 0 {
            let batch = queue.next(format).await.expect("it is open");
            assert!(batch.bytes.len() <= limit, "{} bytes of {limit}", batch.bytes.len());
            queue.published((batch.to, batch.records), Ok(()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_has_a_number_and_a_count() {
    let (queue, now) = (online(), Instant::now());
    assert!(queue.push(OTHER, record(CLUSTER_QUEUE_BYTES + 1), now).queued, "one always fits");
    assert!(!queue.push(OTHER, record(1), now).queued);
    let mut parts = 1;
    while counts(&queue).queued > 0 {
        assert_eq!(next(&queue).await, (OTHER, 1, 1));
        parts += 1;
    }
    assert_eq!(parts, 1 + (CLUSTER_QUEUE_BYTES + 1).div_ceil(CLUSTER_PART));
    assert!(queue.push(OTHER, record(1), now).queued);
    assert_eq!(next(&queue).await, (OTHER, 3, 1), "2 is missing");
    let sums = counts(&queue);
    assert_eq!((sums.offered, sums.full, sums.queued), (3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn records_wait_for_the_broker_for_their_time_to_live() {
    let queue = online();
    queue.set_offline(Instant::now());
    assert!(queue.push(OTHER, record(1), Instant::now()).queued);
    assert!(timeout_at(Instant::now() + Duration::from_secs(4), next(&queue)).await.is_err());
    assert_eq!(counts(&queue).queued, 1);
    assert!(timeout_at(Instant::now() + Duration::from_secs(2), next(&queue)).await.is_err());
    let sums = counts(&queue);
    assert_eq!((sums.expired, sums.queued), (1, 0));
    assert!(!queue.push(OTHER, record(1), Instant::now()).queued, "it is away for too long");
    queue.set_online([], Instant::now());
    assert!(queue.push(OTHER, record(1), Instant::now()).queued);
    assert_eq!(next(&queue).await, (OTHER, 3, 1));
    queue.set_offline(Instant::now());
    assert!(queue.push(OTHER, record(1), Instant::now()).queued);
    queue.close();
    assert!(queue.next(format).await.is_none());
    let sums = counts(&queue);
    assert_eq!((sums.offered, sums.offline, sums.queued), (4, 2, 0));
    assert_eq!(sums.offered, sums.published + sums.dropped());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_takes_the_words_of_the_node_itself() {
    let (queue, now) = (online(), Instant::now());
    while queue.push(OTHER, record(64 * 1024), now).queued {}
    let bye = Record { kind: RecordKind::Bye, body: Bytes::new() };
    let state = Record { kind: RecordKind::Heartbeat, body: vec![7; 1_000].into() };
    assert!(queue.push(Destination::All, state.clone(), now).queued);
    let mut more = 0;
    while queue.push(Destination::All, state.clone(), now).queued {
        more += 1;
    }
    assert!(more * 1_000 <= CLUSTER_RESERVE_BYTES, "it has an end: {more}");
    let empty = Record { kind: RecordKind::Heartbeat, body: Bytes::new() };
    while queue.push(Destination::All, empty.clone(), now).queued {}
    assert!(queue.push(Destination::All, bye, now).queued);
}

/// A heartbeat behind its farewell would make the node a member again.
#[tokio::test(start_paused = true)]
async fn the_farewell_is_the_last_record() {
    let (queue, now) = (online(), Instant::now());
    let say = |kind| queue.push(Destination::All, Record { kind, body: Bytes::new() }, now).queued;
    assert!(say(RecordKind::Frame) && say(RecordKind::Bye));
    assert!(!say(RecordKind::Heartbeat) && !say(RecordKind::Frame));
    assert_eq!(next(&queue).await, (Destination::All, 1, 2));
    assert!(queue.next(format).await.is_none());
}

/// Loses the broker, queues a record, and has the broker back while these nodes are members.
fn back(queue: &Outbound, others: [u64; 2]) {
    queue.set_offline(Instant::now());
    assert!(queue.push(OTHER, record(10), Instant::now()).queued);
    let others = others.map(|number| NodeId::new(number).unwrap());
    assert!(queue.set_online(others, Instant::now()).is_some());
}

#[tokio::test(start_paused = true)]
async fn behind_a_reconnect_records_wait_until_each_node_was_heard() {
    let queue = online();
    back(&queue, [2, 3]);
    assert_eq!(next(&queue).await, (Destination::All, 0, 0), "a knock");
    let mut waiting = pin!(next(&queue));
    assert!((&mut waiting).now_or_never().is_none());
    queue.release(NodeId::new(2).unwrap());
    queue.release(NodeId::new(9).unwrap());
    assert!((&mut waiting).now_or_never().is_none());
    // A node that knocks is answered at once.
    queue.knock(NodeId::new(3).unwrap());
    let three = Destination::Node(NodeId::new(3).unwrap());
    assert_eq!(waiting.await, (three, 0, 0));
    let begun = Instant::now();
    queue.release(NodeId::new(3).unwrap());
    assert_eq!(next(&queue).await, (OTHER, 1, 1));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn records_do_not_wait_for_a_node_that_never_comes() {
    let queue = online();
    back(&queue, [2, 3]);
    let begun = Instant::now();
    assert_eq!(next(&queue).await, (Destination::All, 0, 0));
    assert_eq!(next(&queue).await, (OTHER, 1, 1));
    assert_eq!(begun.elapsed(), CLUSTER_HOLD);
    back(&queue, [2, 3]);
    assert_eq!(next(&queue).await, (Destination::All, 0, 0));
    queue.close();
    assert_eq!(next(&queue).await, (OTHER, 2, 1), "nor at the end of this node");
    assert!(queue.next(format).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn without_other_nodes_records_do_not_wait() {
    let queue = online();
    queue.set_offline(Instant::now());
    assert!(queue.push(Destination::All, record(10), Instant::now()).queued);
    queue.set_online([], Instant::now());
    assert_eq!(next(&queue).await, (Destination::All, 1, 1));
}
