//! The steps of both sides, one by one.

use std::time::{Duration, Instant};

use super::*;
use crate::limits::{CLUSTER_INTEREST_LINGER, CLUSTER_SYNC_EVERY};
use crate::tags::{HashedTarget, InterestChange, InterestUpdate, TagHash, Target, tag};

/// Sets the interest of a node that has told it, and returns both sides.
fn told(numbers: impl IntoIterator<Item = u64>, now: Instant) -> (InterestOut, InterestIn) {
    let (mut out, mut receiver) = (InterestOut::with_limit(16), InterestIn::new());
    out.apply(InterestUpdate::Reset(hashes(numbers)), now);
    let (to, record) = out.next(now).expect("the first state is told");
    assert_eq!((to, record.kind), (None, RecordKind::Sync));
    deliver(&record, &mut receiver, now);
    assert_eq!(out.next(now), None);
    (out, receiver)
}

fn added(number: u64) -> InterestUpdate {
    InterestUpdate::Changes(vec![InterestChange::Added(hash(number))])
}

fn removed(number: u64) -> InterestUpdate {
    InterestUpdate::Changes(vec![InterestChange::Removed(hash(number))])
}

#[test]
fn a_tag_that_comes_back_within_a_second_is_told_once() {
    let start = Instant::now();
    let (mut out, mut receiver) = told([], start);
    out.apply(added(7), start);
    let (_, record) = out.next(start).expect("an addition is due at once");
    deliver(&record, &mut receiver, start);
    for round in 0..50 {
        let at = start + round * 20 * MILLI;
        out.apply(removed(7), at);
        assert_eq!(out.next(at), None);
        assert_eq!(out.deadline(), Some(at + CLUSTER_INTEREST_LINGER));
        let at = at + 10 * MILLI;
        out.apply(added(7), at);
        assert_eq!((out.next(at), out.deadline(), out.version()), (None, None, 3));
    }
    // A tag that is gone before it was told needs no record at all.
    out.apply(added(8), start);
    out.apply(removed(8), start);
    assert_eq!((out.next(start), out.deadline()), (None, None));
    let gone = start + Duration::from_secs(5);
    out.apply(removed(7), gone);
    assert_eq!(out.next(gone + CLUSTER_INTEREST_LINGER - MILLI), None);
    let (_, record) = out.next(gone + CLUSTER_INTEREST_LINGER).expect("the second is over");
    deliver(&record, &mut receiver, gone);
    assert!(receiver.set().is_empty() && receiver.version() == Some(4));
}

#[test]
fn removals_that_wait_end_early_for_the_limit() {
    let now = Instant::now();
    let (mut out, mut receiver) = told(0..16, now);
    (0..4).for_each(|at| out.apply(removed(at), now + at as u32 * MILLI));
    (20..22).for_each(|at| out.apply(added(at), now + 4 * MILLI));
    let (_, record) = out.next(now + 4 * MILLI).expect("additions are due");
    let delta = InterestDelta::decode(record.body.clone()).unwrap();
    assert_eq!((delta.added, delta.removed), (hashes(20..22), hashes(0..2)), "the oldest first");
    deliver(&record, &mut receiver, now);
    assert_eq!(receiver.set().len(), Some(16));
}

#[test]
fn a_question_is_answered_to_its_node_and_two_to_all() {
    let now = Instant::now();
    let (mut out, _) = told([1], now);
    out.ask(node(5));
    out.ask(node(5));
    assert_eq!(out.next(now), Some((Some(node(5)), out.snapshot().encode())));
    [5, 6].into_iter().for_each(|asking| out.ask(node(asking)));
    assert_eq!(out.next(now), Some((None, out.snapshot().encode())));
    out.ask(node(5));
    out.forget(node(5));
    assert_eq!(out.next(now), None);
    // A change is told before the answer, which contains it.
    out.ask(node(5));
    out.apply(added(2), now);
    assert!(matches!(out.next(now), Some((None, Record { kind: RecordKind::Interest, .. }))));
    let Some((Some(_), answer)) = out.next(now) else { panic!("one node has asked") };
    let snapshot = InterestSnapshot::decode(answer.body).unwrap();
    assert_eq!((snapshot.version, snapshot.hashes), (3, Some(hashes([1, 2]))));
}

#[test]
fn a_node_is_asked_once_a_second_until_it_answers() {
    let start = Instant::now();
    let (mut out, mut receiver) = (told([1], start).0, InterestIn::new());
    receiver.hear(0, start);
    assert!(!receiver.take_ask(start), "a node without a version tells no interest");
    receiver.hear(out.version(), start);
    assert!(receiver.take_ask(start) && !receiver.take_ask(start));
    assert_eq!(receiver.deadline(), Some(start + CLUSTER_SYNC_EVERY));
    assert!(!receiver.take_ask(start + CLUSTER_SYNC_EVERY - MILLI));
    assert!(receiver.take_ask(start + CLUSTER_SYNC_EVERY), "the answer may be lost");
    receiver.sync(&out.snapshot());
    assert_eq!((receiver.version(), receiver.deadline()), (Some(2), None));
    // A snapshot that is older than a version that was heard is not the state.
    let old = out.snapshot();
    out.apply(added(2), start);
    let _lost = out.next(start);
    let soon = start + CLUSTER_SYNC_EVERY + MILLI;
    receiver.hear(out.version(), soon);
    assert_eq!((receiver.version(), receiver.set().len()), (None, None));
    assert!(!receiver.take_ask(soon), "it was asked less than a second ago");
    receiver.sync(&old);
    assert_eq!(receiver.version(), None);
    receiver.sync(&out.snapshot());
    assert_eq!(receiver.version(), Some(3));
    receiver.sync(&old);
    assert_eq!(receiver.version(), Some(3), "an old one arrives late");
}

#[test]
fn a_gap_is_everything_until_the_next_version() {
    let now = Instant::now();
    let (mut out, mut receiver) = told([1], now);
    let elsewhere = HashedTarget::of(&tag("nowhere").into());
    assert!(!receiver.may_match(&elsewhere));
    receiver.lost();
    assert!(receiver.may_match(&elsewhere) && receiver.version().is_none());
    receiver.hear(out.version(), now);
    assert!(!receiver.may_match(&elsewhere), "no change was lost");
    receiver.lost();
    out.apply(added(2), now);
    let (_, record) = out.next(now).expect("it is due");
    deliver(&record, &mut receiver, now);
    assert!(!receiver.may_match(&elsewhere), "the change follows the known version");
    assert!(!receiver.take_ask(now));
}

#[test]
fn a_message_goes_to_half_of_the_nodes_one_by_one_and_to_more_at_once() {
    let now = Instant::now();
    let [lobby, hall] = ["lobby", "hall"].map(|room| tag("room").is(room));
    let held = TagHash::of_pair("room", "lobby").value();
    let [with, without] = [told([held], now).1, told([], now).1];
    let recipients = |target: &Target, nodes: &[&InterestIn]| {
        let nodes = (1..).map(node).zip(nodes.iter().copied());
        Recipients::of(&HashedTarget::of(target), nodes)
    };
    assert_eq!(recipients(&lobby, &[]), Recipients::Nobody);
    assert_eq!(recipients(&hall, &[&with, &without]), Recipients::Nobody);
    assert_eq!(recipients(&lobby, &[&without, &with]), Recipients::Nodes(vec![node(2)]));
    assert_eq!(recipients(&lobby, &[&with, &without, &with]), Recipients::All(2));
    assert_eq!(recipients(&lobby, &[&with]), Recipients::All(1));
    let unknown = InterestIn::new();
    assert_eq!(recipients(&hall, &[&with, &unknown]), Recipients::Nodes(vec![node(2)]));
}
