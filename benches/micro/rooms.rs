//! Sets of values, such as the rooms of a peer: the cost of joining and leaving at 10 000 rooms beside
//! that at 10, and the memory of a membership at 1 000 000 of them.
//!
//! Run with `cargo bench -p veltix-micro --bench rooms`. The bench prints both figures, and fails above
//! their limits: twice the cost, and 150 bytes.

#![allow(clippy::print_stderr, reason = "the results are the output of a bench")]
#![allow(clippy::disallowed_methods, reason = "a bench measures on the real clock")]

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use veltix_core::{PeerId, TagLimits, TagStore, TagValue, limits};

const LIMITS: TagLimits =
    TagLimits { tags: limits::TAGS_PER_PEER, values: limits::MAX_VALUES_PER_PEER };

/// The joins and leaves of one round.
const ROUND: usize = 1_000;

/// The rounds of each side, which take turns. The fastest counts: other processes of the machine slow
/// the others down.
const ROUNDS: usize = 101;

const MEMBERSHIPS: u64 = 1_000_000;

/// The variable that asks this program for the memory of one shape.
const SHAPE: &str = "ROOMS_SHAPE";

/// Peers that are in all rooms, of which one leaves and joins them.
struct Joined {
    store: TagStore,
    rooms: Vec<TagValue>,
    random: u64,
}

/// A room as a message names it.
enum Near {
    Text(String),
    Number(TagValue),
}

impl Joined {
    fn new(peers: u64, rooms: Vec<TagValue>) -> Self {
        let mut store = TagStore::new(LIMITS);
        for peer in (0..peers).map(PeerId::new) {
            store.enter(peer);
            store.admit(peer);
            for room in &rooms {
                store.join(peer, "room", room.clone()).expect("the room is within the limits");
            }
        }
        Self { store, rooms, random: 7 }
    }

    /// Measures leaving and joining pseudorandom rooms by the first peer.
    fn round(&mut self) -> Duration {
        let peer = PeerId::new(0);
        // The names come from messages, so they are near, and they are not the shared texts.
        let near = |value: &TagValue| match value {
            TagValue::Text(text) => Near::Text(text.to_string()),
            number => Near::Number(number.clone()),
        };
        let rooms: Vec<_> = (0..ROUND)
            .map(|_| {
                self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                near(&self.rooms[(self.random >> 33) as usize % self.rooms.len()])
            })
            .collect();
        let begun = Instant::now();
        for room in &rooms {
            let value = || match room {
                Near::Text(text) => TagValue::from(text),
                Near::Number(number) => number.clone(),
            };
            let left = black_box(self.store.leave(peer, "room", value()));
            let joined = black_box(self.store.join(peer, "room", value()));
            assert_eq!((left, joined), (Ok(true), Ok(true)));
        }
        begun.elapsed() / ROUND as u32
    }
}

/// Returns the number of rounds: one if the bench is only tried out, by the argument `--test`.
fn rounds() -> usize {
    if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS }
}

fn join_and_leave(kind: &str, peers: u64, room: impl Fn(i64) -> TagValue) {
    let [mut few, mut many] =
        [10, 10_000].map(|rooms| Joined::new(peers, (0..rooms).map(&room).collect()));
    let (mut at_few, mut at_many) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds() {
        at_few = at_few.min(few.round());
        at_many = at_many.min(many.round());
    }
    let ratio = at_many.as_secs_f64() / at_few.as_secs_f64();
    eprintln!(
        "join and leave {kind}: {at_few:?} at 10, {at_many:?} at 10 000: {ratio:.2} times (limit 2)"
    );
    assert!(rounds() == 1 || ratio <= 2.0, "joining must not depend on the number of rooms");
}

/// Measures the longest steps that the lock of the tags is held for: a peer in 100 000 rooms connects
/// and disconnects, beside another one in the same rooms.
fn come_and_go() {
    let rooms: Vec<_> = (0..LIMITS.values).map(|room| format!("room {room}").into()).collect();
    let Joined { mut store, rooms, .. } = Joined::new(1, rooms);
    let peer = PeerId::new(1);
    store.enter(peer);
    for room in &rooms {
        store.join(peer, "room", room.clone()).expect("the room is within the limits");
    }
    let begun = Instant::now();
    store.admit(peer);
    let admitted = begun.elapsed();
    store.retire(peer);
    let retired = begun.elapsed() - admitted;
    store.forget(peer);
    let forgotten = begun.elapsed() - admitted - retired;
    eprintln!(
        "a peer in {} rooms: {admitted:?} to connect, {retired:?} to disconnect, {forgotten:?} to \
         be forgotten",
        LIMITS.values
    );
}

/// Returns the resident bytes of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split(' ').nth(1).expect("it has a second number");
    pages.parse::<u64>().expect("it is a number") * 4096
}

/// The shapes of memberships: the number of peers, the number of rooms, and whether each peer has
/// rooms of its own.
const SHAPES: [(u64, u64, bool); 4] =
    [(100, 10_000, false), (100_000, 1_000, false), (100, 10_000, true), (10_000, 100, true)];

/// Measures the memory of memberships, without that of the peers.
fn memory((peers, rooms, own): (u64, u64, bool)) {
    let mut store = TagStore::new(LIMITS);
    for peer in (0..peers).map(PeerId::new) {
        store.enter(peer);
        store.admit(peer);
    }
    let before = resident();
    let each = MEMBERSHIPS / peers;
    for number in 0..each {
        for peer in 0..peers {
            let room = (peer * 7 + number) % rooms;
            let room = if own { format!("room {peer}:{room}") } else { format!("room {room}") };
            assert_eq!(store.join(PeerId::new(peer), "room", room), Ok(true));
        }
    }
    let bytes = (resident() - before) as f64 / MEMBERSHIPS as f64;
    let owned = if own { " of its own" } else { "" };
    eprintln!(
        "1 000 000 memberships, {peers} peers in {each} of {rooms} rooms each{owned}: {bytes:.0} bytes (limit 150)"
    );
    assert!(bytes <= 150.0, "a membership is too large");
}

fn main() {
    if let Ok(shape) = std::env::var(SHAPE) {
        return memory(SHAPES[shape.parse::<usize>().expect("this program sets it")]);
    }
    join_and_leave("rooms", 20, |room| format!("room {room}").into());
    join_and_leave("rooms without other peers", 1, |room| format!("room {room}").into());
    join_and_leave("numbers", 20, TagValue::from);
    come_and_go();
    // A process of its own has no freed memory, which would be used first and not be counted.
    let program = std::env::current_exe().expect("this program has a path");
    for shape in 0..SHAPES.len() {
        let ended = Command::new(&program).env(SHAPE, shape.to_string()).status();
        assert!(ended.expect("the program starts").success(), "a shape is above its limit");
    }
}
