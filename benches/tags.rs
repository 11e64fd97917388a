//! Finding the peers of a target: the index of the tag store beside a scan over every peer's map.
//!
//! Run with `cargo bench --bench tags`. There are 10 000 peers; one in a hundred is in the room
//! "small" and one in ten in the room "large".

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use veltix_core::{PeerId, TagStore, TagValue, tag};

const PEERS: u64 = 10_000;

/// The rooms, each with its share of the peers.
const ROOMS: [(&str, &str); 2] = [("small", "1 percent"), ("large", "10 percent")];

/// A peer's room: ten of a hundred are in the large one, another one in the small one.
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
        store.join(peer);
        store.set(peer, ("room", room(number))).expect("the tag is within the limits");
        store.set(peer, ("number", number.to_string())).expect("the tag is within the limits");
        store.admit(peer);
    }
    store
}

/// What one writes without an index: each peer with a map of its tags.
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

/// What the index costs: a peer that comes, with one tag, and goes, beside a map that is dropped.
fn churn(criterion: &mut Criterion) {
    let (mut store, mut peers) = (indexed(), scanned());
    let peer = PeerId::new(PEERS);
    let mut group = criterion.benchmark_group("join, tag and leave among 10 000");
    group.bench_function("index", |bencher| {
        bencher.iter(|| {
            store.join(peer);
            store.admit(peer);
            let added = store.add(peer, ("room", black_box("large")));
            store.leave(peer);
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

criterion_group!(benches, select, count, churn);
criterion_main!(benches);
