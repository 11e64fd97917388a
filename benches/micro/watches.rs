//! The cost of a change with 1 000 watches on other rooms, beside the cost with one watch.
//!
//! Run with `cargo bench -p veltix-micro --bench watches`. The bench prints the ratio for each kind of
//! watch, and fails above twice the cost.

#![allow(clippy::print_stderr, reason = "the results are the output of a bench")]
#![allow(clippy::disallowed_methods, reason = "a bench measures on the real clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use veltix_core::{PeerId, TagStore, Target, WatchId, all, tag};

const PEER: PeerId = PeerId::new(0);

/// The changes of one round.
const ROUND: u32 = 500;

/// The rounds of each side, which take turns. The fastest counts: other processes of the machine slow
/// the others down.
const ROUNDS: usize = 101;

/// How a watch of one room begins.
type Begin = fn(&mut TagStore, i64) -> WatchId;

/// One round of changes.
type Change = fn(&mut TagStore);

fn room(room: i64) -> Target {
    tag("room").is(format!("room {room}"))
}

fn members(store: &mut TagStore, at: i64) -> WatchId {
    store.watch(&room(at), ["user"]).expect("the target is valid")
}

fn listeners(store: &mut TagStore, at: i64) -> WatchId {
    store.watch(&(room(at) & !tag("muted")), ["user"]).expect("the target is valid")
}

fn users(store: &mut TagStore, at: i64) -> WatchId {
    let (now, grace) = (Instant::now(), Duration::from_secs(10));
    store.watch_groups(&room(at), "user", grace, now).expect("the target is valid")
}

fn online(store: &mut TagStore, at: i64) -> WatchId {
    store.watch(&(tag("online").is(true) & room(at)), ["user"]).expect("the target is valid")
}

fn rooms(store: &mut TagStore, at: i64) -> WatchId {
    let (now, grace) = (Instant::now(), Duration::ZERO);
    store.watch_groups(&room(at), "room", grace, now).expect("the target is valid")
}

/// Joins and leaves a room. Nobody watches it.
fn join_and_leave(store: &mut TagStore) {
    assert_eq!(store.join(PEER, "room", "elsewhere"), Ok(true));
    assert_eq!(store.leave(PEER, "room", "elsewhere"), Ok(true));
}

/// Changes tags on which all watches depend, of a peer that is in none of their rooms but one.
fn change_tags(store: &mut TagStore) {
    store.set(PEER, "muted").expect("the tag is within the limits");
    store.remove(PEER, "muted");
    store.set(PEER, ("online", false)).expect("the tag is within the limits");
    store.set(PEER, ("online", true)).expect("the tag is within the limits");
    store.set(PEER, ("user", "ann")).expect("the tag is within the limits");
    store.set(PEER, ("user", "bob")).expect("the tag is within the limits");
}

/// Connects and disconnects a peer that is in one watched room.
fn come_and_go(store: &mut TagStore) {
    let peer = PeerId::new(1);
    store.enter(peer);
    store.set(peer, ("online", true)).expect("the tag is within the limits");
    store.set(peer, ("user", "cat")).expect("the tag is within the limits");
    store.join(peer, "room", "room 0").expect("the room is within the limits");
    store.admit(peer);
    store.forget(peer);
}

struct Watched {
    store: TagStore,
    watches: Vec<WatchId>,
}

impl Watched {
    fn new(watches: i64, begin: Begin) -> Self {
        let mut store = TagStore::default();
        store.enter(PEER);
        store.admit(PEER);
        store.join(PEER, "room", "room 0").expect("the room is within the limits");
        let mut watches: Vec<_> = (0..watches).map(|at| begin(&mut store, at)).collect();
        watches.iter().for_each(|&watch| read(&mut store, watch));
        watches.truncate(1);
        assert_eq!(store.count(&all()), Ok(1));
        Self { store, watches }
    }

    fn round(&mut self, change: Change) -> Duration {
        let begun = Instant::now();
        for _ in 0..ROUND {
            self.store.set_time(begun);
            change(&mut self.store);
            black_box(self.store.take_woken());
            // The reader of the watched room keeps up. The others have nothing to read.
            read(&mut self.store, self.watches[0]);
        }
        begun.elapsed() / ROUND
    }
}

/// Reads all steps of a watch of either kind.
fn read(store: &mut TagStore, watch: WatchId) {
    use veltix_core::{GroupStep, WatchStep};
    while !matches!(store.next_change(watch), WatchStep::Idle | WatchStep::Ended) {}
    let now = Instant::now();
    while !matches!(store.next_group(watch, now), GroupStep::Idle(_) | GroupStep::Ended) {}
}

/// Returns the number of rounds: one if the bench is only tried out, by the argument `--test`.
fn rounds() -> usize {
    if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS }
}

fn main() {
    let kinds: [(&str, Begin); 5] = [
        ("members", members),
        ("members that listen", listeners),
        ("members that are online", online),
        ("users", users),
        ("rooms", rooms),
    ];
    let changes: [(&str, Change); 3] = [
        ("join and leave", join_and_leave),
        ("change tags", change_tags),
        ("come and go", come_and_go),
    ];
    for (kind, begin) in kinds {
        let (mut one, mut many) = (Watched::new(1, begin), Watched::new(1_000, begin));
        for (name, change) in changes {
            let (mut with_one, mut with_many) = (Duration::MAX, Duration::MAX);
            for _ in 0..rounds() {
                with_one = with_one.min(one.round(change));
                with_many = with_many.min(many.round(change));
            }
            let ratio = with_many.as_secs_f64() / with_one.as_secs_f64();
            eprintln!(
                "{name}, watches of {kind}: {with_one:?} with one, {with_many:?} with 1 000: \
                 {ratio:.2} times (limit 2)"
            );
            assert!(rounds() == 1 || ratio <= 2.0, "watches on other rooms must cost nothing");
        }
    }
}
