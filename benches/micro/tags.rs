//! Selecting the peers that a target matches: by the index of the tag store, and by a scan over every
//! peer's map.
//!
//! Run with `cargo bench -p veltix-micro --bench tags`. There are 10 000 peers. One in a hundred is in the room
//! "small" and one in ten in the room "large". Targets of several terms are selected among 100 000
//! peers. The bench prints the ratio of both times, which must be at least 50.

#![allow(clippy::print_stderr, reason = "the results are the output of a bench")]
#![allow(clippy::disallowed_methods, reason = "a bench measures on the real clock")]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use veltix_core::{PeerId, TagStore, TagValue, Target, tag};

const PEERS: u64 = 10_000;

/// The rooms, each with its share of the peers.
const ROOMS: [(&str, &str); 2] = [("small", "1 percent"), ("large", "10 percent")];

/// Returns a peer's room. Ten peers in a hundred are in the large room, and one is in the small room.
fn room(peer: u64) -> &'static str {
    match peer % 100 {
        0..10 => "large",
        10 => "small",
        _ => "elsewhere",
    }
}

fn indexed() -> TagStore {
    let mut store = TagStore::default();
    for number in 0..PEERS {
        let peer = PeerId::new(number);
        store.enter(peer);
        store.set(peer, ("room", room(number))).expect("the tag is within the limits");
        store.set(peer, ("number", number.to_string())).expect("the tag is within the limits");
        store.admit(peer);
    }
    store
}

/// The table that a program without an index would have: each peer with a map of its tags.
type Scanned = Vec<(PeerId, HashMap<String, TagValue>)>;

fn scanned() -> Scanned {
    let tags = |number: u64| {
        HashMap::from([
            ("room".to_owned(), room(number).into()),
            ("number".to_owned(), number.to_string().into()),
        ])
    };
    (0..PEERS).map(|number| (PeerId::new(number), tags(number))).collect()
}

fn scan(peers: &Scanned, room: &TagValue) -> impl Iterator<Item = PeerId> {
    peers.iter().filter(move |(_, tags)| tags.get("room") == Some(room)).map(|(peer, _)| *peer)
}

fn select(criterion: &mut Criterion) {
    let (store, peers) = (indexed(), scanned());
    for (room, share) in ROOMS {
        let (target, value) = (tag("room").is(room), TagValue::from(room));
        let mut group = criterion.benchmark_group(format!("select {share} of 10 000"));
        group.bench_function("index", |bencher| {
            bencher.iter(|| store.select(black_box(&target)));
        });
        group.bench_function("scan", |bencher| {
            bencher.iter(|| scan(&peers, black_box(&value)).collect::<Vec<_>>());
        });
        group.finish();
    }
}

fn count(criterion: &mut Criterion) {
    let (store, peers) = (indexed(), scanned());
    for (room, share) in ROOMS {
        let (target, value) = (tag("room").is(room), TagValue::from(room));
        let mut group = criterion.benchmark_group(format!("count {share} of 10 000"));
        group.bench_function("index", |bencher| bencher.iter(|| store.count(black_box(&target))));
        group.bench_function("scan", |bencher| {
            bencher.iter(|| scan(&peers, black_box(&value)).count());
        });
        group.finish();
    }
}

/// Measures the cost of the index: a peer joins, gets one tag and leaves. A map that is dropped is the
/// comparison.
fn churn(criterion: &mut Criterion) {
    let (mut store, mut peers) = (indexed(), scanned());
    let peer = PeerId::new(PEERS);
    let mut group = criterion.benchmark_group("join, tag and leave among 10 000");
    group.bench_function("index", |bencher| {
        bencher.iter(|| {
            store.enter(peer);
            store.admit(peer);
            let added = store.add(peer, ("room", black_box("large")));
            store.forget(peer);
            added
        });
    });
    group.bench_function("scan", |bencher| {
        bencher.iter(|| {
            let room = ("room".to_owned(), black_box("large").into());
            peers.push((peer, HashMap::from([room])));
            peers.pop()
        });
    });
    group.finish();
}

/// The number of peers among which targets of several terms are selected.
const CROWD: u64 = 100_000;

/// Returns a peer's region, role and plan. One peer in 10 is in the region "eu", one in 20 is a
/// "player", one in 100 has the plan "gold", and one in 1 000 has all three.
fn traits(peer: u64) -> [(&'static str, &'static str); 3] {
    let pick = |is, this| if is { this } else { "other" };
    let gold = peer.is_multiple_of(1_000) || (peer % 1_000 > 100 && peer % 100 == 7);
    [
        ("region", pick(peer.is_multiple_of(10), "eu")),
        ("role", pick((peer / 10).is_multiple_of(20), "player")),
        ("plan", pick(gold, "gold")),
    ]
}

fn crowd() -> (TagStore, Scanned) {
    let (mut store, mut peers) = (TagStore::default(), Vec::new());
    for number in 0..CROWD {
        let peer = PeerId::new(number);
        store.enter(peer);
        let mut tags = HashMap::new();
        for (name, value) in traits(number) {
            store.set(peer, (name, value)).expect("the tag is within the limits");
            tags.insert(name.to_owned(), value.into());
        }
        let score = number.wrapping_mul(7_919) % CROWD;
        let score = TagValue::try_from(score).expect("it is small");
        store.set(peer, ("score", score.clone())).expect("the tag is within the limits");
        tags.insert("score".to_owned(), score);
        store.admit(peer);
        peers.push((peer, tags));
    }
    (store, peers)
}

/// Returns the shortest time of `calls` calls.
fn fastest<T>(calls: usize, mut call: impl FnMut() -> T) -> Duration {
    let one = |_| {
        let start = Instant::now();
        black_box(call());
        start.elapsed()
    };
    (0..calls).map(one).min().expect("there are calls")
}

/// Measures a target of three terms that match one peer in 10, in 20 and in 100. One in 1 000 matches
/// all of them.
fn three_terms(criterion: &mut Criterion) {
    let (store, peers) = crowd();
    let wanted = traits(0).map(|(name, value)| (name, TagValue::from(value)));
    let target = wanted.iter().cloned().map(|(name, value)| tag(name).is(value));
    let target = target.reduce(|target, term| target & term).expect("there are terms");
    let scan = || {
        let fulfils = |tags: &HashMap<String, TagValue>| {
            wanted.iter().all(|(name, value)| tags.get(*name) == Some(value))
        };
        let found = peers.iter().filter(|(_, tags)| fulfils(tags));
        found.map(|(peer, _)| *peer).collect::<Vec<_>>()
    };
    let index = || store.select(black_box(&target)).expect("the target is valid");
    assert_eq!(index(), scan());
    assert_eq!(index().len() as u64, CROWD / 1_000);
    let (by_index, by_scan) = (fastest(2_000, index), fastest(50, scan));
    let ratio = by_scan.as_secs_f64() / by_index.as_secs_f64();
    eprintln!(
        "three terms of 100 000: {by_index:?} by index, {by_scan:?} by scan: {ratio:.0} times"
    );
    assert!(ratio >= 50.0, "the index must be at least 50 times faster than the scan");

    let mut group = criterion.benchmark_group("select three terms of 100 000");
    group.bench_function("index", |bencher| bencher.iter(index));
    group.bench_function("scan", |bencher| bencher.iter(scan));
    group.finish();
}

/// Measures other forms of targets, by the index alone.
fn forms(criterion: &mut Criterion) {
    let (store, _) = crowd();
    let (eu, player) = (tag("region").is("eu"), tag("role").is("player"));
    let targets: [(&str, Target); 7] = [
        ("or of two", &eu | &player),
        ("and not", &eu & !&player),
        ("neither", !(&eu | &player)),
        ("half of a number", tag("score").below(50_000)),
        ("a tenth of a number", tag("score").at_least(40_000) & tag("score").below(50_000)),
        ("a number of few", &eu & &player & tag("score").below(50_000)),
        ("any of 100", tag("score").any_of(0..100)),
    ];
    let mut group = criterion.benchmark_group("count of 100 000");
    for (form, target) in targets {
        group.bench_function(form, |bencher| bencher.iter(|| store.count(black_box(&target))));
    }
    group.finish();
}

criterion_group!(benches, select, count, churn, three_terms, forms);
criterion_main!(benches);
