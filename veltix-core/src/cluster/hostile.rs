//! Any bytes of another node: the memory that they cost.

use allocation_counter::measure;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::{collection::vec, sample::select};

use super::*;
use crate::tags::Target;

/// The memory of the largest target or key, which have limits in bytes, and that of a list of members: at
/// most one of them is in a record.
const ROOM: u64 = 3 * 1024 * 1024;

/// Decodes the bytes as each kind of record, and returns the name and the most memory of the costliest one.
fn costs(bytes: &[u8]) -> Vec<(&'static str, u64)> {
    let bytes = Bytes::copy_from_slice(bytes);
    macro_rules! cost {
        ($($name:literal: $decode:expr),+ $(,)?) => {
            vec![$( ($name, measure(|| { let _read = $decode; }).bytes_max) ),+]
        };
    }
    cost! {
        "batch": Batch::read(bytes.clone()).map(|batch| batch.collect::<Vec<_>>()),
        "frame": FrameRecord::decode(bytes.clone()),
        "ask": NodeAsk::decode(bytes.clone()),
        "answer": NodeAnswer::decode(bytes.clone()),
        "status": NodeStatus::decode(bytes.clone()),
        "call": NodeCall::decode(bytes.clone()),
        "roster": Roster::decode(bytes.clone()),
        "reply": PeerReply::decode(bytes.clone()),
        "cancel": Cancel::decode(bytes.clone()),
        "watch": NodeWatch::decode(bytes.clone()),
        "unwatch": Unwatch::decode(bytes.clone()),
        "diff": WatchDiff::decode(bytes.clone()),
        "interest": InterestDelta::decode(bytes.clone()),
        "sync": InterestSnapshot::decode(bytes.clone()),
        "part": Part::decode(bytes.clone()).map(|part| {
            let mut assembly = Assembly::default();
            let _ = assembly.add(1, &part, 64 << 20);
            assembly
        }),
    }
}

#[track_caller]
fn check(bytes: &[u8], times: u64) {
    for (name, cost) in costs(bytes) {
        let limit = times * bytes.len() as u64 + ROOM;
        assert!(cost <= limit, "{name}: {cost} bytes of memory for {} received ones", bytes.len());
    }
}

proptest! {
    /// Bytes of few values are more often long lists than random ones.
    #[test]
    fn any_bytes_cost_little_memory(
        head in vec(any::<u8>(), 0..30),
        tail in vec(select(&[0, 0, 0, 1, 2, 3, 4, 5, 7, 8, 0xff][..]), 0..3_000),
    ) {
        let bytes = [head, tail].concat();
        for (name, cost) in costs(&bytes) {
            // A list may have twice the memory of its items while it grows.
            prop_assert!(cost <= 64 * bytes.len() as u64 + 1_024, "{name}: {cost}");
        }
    }
}

/// Returns `head`, and then `item` until there are 4 MiB.
fn long(head: &[u8], item: &[u8]) -> Vec<u8> {
    let mut bytes = head.to_vec();
    while bytes.len() < 4 << 20 {
        bytes.extend_from_slice(item);
    }
    bytes
}

/// Returns a head whose list has `4 MiB / size` items.
fn counted(head: &[u8], size: usize) -> Vec<u8> {
    [head, &((4 << 20) / size as u32 - 64).to_be_bytes()].concat()
}

/// Each list that has the most memory for its bytes. The limits in bytes are checked before it is there.
#[test]
fn long_lists_cost_at_most_twice_their_bytes_and_a_constant() {
    let id = [0; 8];
    let ask = |kind: u8| [&id[..], &[0; 4], &[kind]].concat();
    // A key of pairs of nothing, as deep as it may be: a full tree is not needed for the most memory.
    let pairs = [&[4][..], &[7; 31]].concat();
    check(&long(&pairs, &[0, 7]), 2);
    // Values of nothing, terms, and ids of peers, in the target of a frame and in that of a question.
    for head in [vec![0], ask(1), ask(2), ask(3)] {
        check(&long(&counted(&[&head[..], &[4, 0, 0, 0, 0]].concat(), 1), &[0]), 2);
        check(&long(&counted(&[&head[..], &[8]].concat(), 1), &[0]), 2);
        check(&long(&counted(&[&head[..], &[9]].concat(), 8), &[7; 8]), 2);
    }
    // Peers of a call.
    check(&long(&counted(&[&id[..], &[1]].concat(), 8), &[7; 8]), 3);
    // An answer has fewer bytes than other records, since its tags need more memory.
    let members = counted(&[&id[..], &[2, 0]].concat(), 12);
    check(&long(&members, &[0; 12]), 2);
    let tags = counted(&[&id[..], &[2, 0, 0, 0, 0, 1], &id[..]].concat(), 5);
    check(&long(&tags, &[0; 5]), 24);
    // Changes of a watch: groups, and peers, in one list or in a step for each. No node tells a list in a larger
    // record.
    let diff = |kind: u8| [&id[..], &[0; 4], &id, &[kind]].concat();
    for step in [1, 4, 5, 6] {
        let list = |kind| [&diff(kind)[..], &[0, 0, 0, 1, step]].concat();
        check(&long(&counted(&list(2), 1), &[0]), 2);
        check(&long(&counted(&list(1), 12), &[0; 12]), 2);
        check(&long(&counted(&diff(1), 5), &[step, 0, 0, 0, 0]), 2);
    }
    check(&long(&counted(&diff(2), 2), &[2, 0]), 2);
    check(&long(&counted(&diff(1), 13), &[&[3][..], &[0; 12]].concat()), 2);
    // The tags of one peer.
    let tags = [&diff(1)[..], &[0, 0, 0, 1, 2], &id].concat();
    check(&long(&counted(&tags, 5), &[0; 5]), 24);
    let huge = long(&counted(&tags, 5), &[0; 5]).repeat(16);
    check(&huge, 2);
    // Names of tags of a watch.
    check(&long(&[&id[..], &[0; 4], &[0, 1]].concat(), &[0, 0, 4, 0]), 2);
}

#[test]
fn the_largest_target_is_read_quickly() {
    let terms = |kind: u8, item: &[u8]| {
        let count = 65_530 / item.len();
        [&[kind][..], &(count as u32).to_be_bytes(), &item.repeat(count)].concat()
    };
    for bytes in [
        terms(7, &[1]),
        terms(8, &[2, 0, 0, 0, 0]),
        terms(8, &[6, 2, 0, 0, 0, 0]),
        terms(7, &[7, 0, 0, 0, 0]),
    ] {
        let start = std::time::Instant::now();
        let _ = Target::decode(&mut bytes.into());
        assert!(start.elapsed().as_millis() < 1_000, "{:?}", start.elapsed());
    }
}
