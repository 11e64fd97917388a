//! C10: the nodes are restarted one after the other, under load.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;
use veltix_cluster_faults::{Ended, Load, LoadReport, News, Order, Watched, now, percentile};

use crate::stage::{Members, Reader, Row, Setup, World, between, soon};

/// The origin of messages: the number of a process.
struct Origin {
    id: String,
    report: LoadReport,
    ended: Option<Ended>,
}

/// Returns the messages that are missing inside what each connection of a client has heard of each origin.
fn holes(reader: &Reader) -> u64 {
    let mut heard: BTreeMap<(usize, u16), (u64, u64, u64)> = BTreeMap::new();
    for it in reader.heard() {
        let number = it.said.number;
        let part = heard.entry((it.connection, it.said.origin)).or_insert((number, number, 0));
        *part = (part.0.min(number), part.1.max(number), part.2 + 1);
    }
    heard.values().map(|(first, last, count)| last - first + 1 - count).sum()
}

/// Returns the records of a node that another one has told as missing.
fn told_as_missing(news: &[News], id: &str) -> u64 {
    let gaps = news.iter().filter_map(|news| match news {
        News::Gap { node, missed } if node == id => Some(*missed),
        _ => None,
    });
    gaps.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c10_a_rolling_restart_loses_nothing_that_is_not_counted() {
    const RESTARTED: usize = 3;
    // The last node stays, and observes.
    let setup = Setup { nodes: RESTARTED as u16 + 1, ..Setup::default() };
    let Some(mut world) = World::start("c10", setup).await else { return };
    let begun = now();
    world.nodes[RESTARTED].watch("hall", Some(10_000)).await;
    let users = 5 * (RESTARTED + 1);
    let complete = |told: &[(u64, Watched)]| Members::of(told).now.len() == users;
    world.nodes[RESTARTED].until(|told| complete(&told.watched).then_some(())).await;
    let load = Order::Load(Load { rate: 200, count: 100_000, room: None, length: 128 });
    let mut orders = Vec::new();
    for node in &world.nodes {
        orders.push(node.order(&load).await);
    }
    let mut origins = BTreeMap::new();
    let (mut back, mut bye) = (0.0_f64, Vec::new());
    let mut reasons = Vec::new();
    for (number, order) in orders.iter_mut().take(RESTARTED).enumerate() {
        sleep(Duration::from_millis(500)).await;
        let connects: Vec<_> = world.readers[number].iter().map(|it| it.connects().len()).collect();
        let drained = now();
        let ended = world.nodes[number].drain().await;
        let node = &world.nodes[number];
        let (id, origin) = (node.id.clone(), node.settings.number);
        let report = node.answer(*order).await;
        let (at, ended) = (ended.at, Some(ended));
        origins.insert(origin, Origin { id: id.clone(), report, ended });
        let observer = &world.nodes[RESTARTED];
        let is_it = |news: &News| matches!(news, News::Left { node, .. } if *node == id);
        let left = observer.news(drained, is_it).await;
        bye.push(left.saturating_sub(at));
        reasons.extend(observer.news_since(drained).into_iter().filter_map(|news| match news {
            News::Left { reason, .. } => Some(reason),
            _ => None,
        }));
        world.nodes[number].restart().await;
        *order = world.nodes[number].order(&load).await;
        for (reader, before) in world.readers[number].iter().zip(connects) {
            soon(async {
                while reader.connects().len() <= before {
                    sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            let connected = reader.connects().last().copied().unwrap_or(u64::MAX);
            back = back.max(between(at, connected));
        }
        world.nodes[number].sees(RESTARTED).await;
    }
    sleep(Duration::from_millis(500)).await;
    for (node, order) in world.nodes.iter().zip(&orders) {
        node.end_loads().await;
        let report = node.answer(*order).await;
        let (id, ended) = (node.id.clone(), None);
        origins.insert(node.settings.number, Origin { id, report, ended });
    }
    world.quiet(Duration::from_secs(1)).await;
    // A gap is told once a second.
    sleep(Duration::from_secs(1)).await;
    let observer = &world.nodes[RESTARTED];
    let news = observer.news_since(begun);
    let (mut sent, mut lost, mut counted, mut wrong_sums) = (0, 0, 0, 0);
    for (number, Origin { id, report, ended }) in &origins {
        let mut of_it = report.sent.refused + told_as_missing(&news, id);
        if let Some(ended) = ended {
            of_it += ended.dropped;
            let sums = (ended.queued + ended.accepted, ended.flushed + ended.dropped);
            wrong_sums += usize::from(sums.0 != sums.1);
        }
        sent += report.sent.offered;
        for reader in &world.readers[RESTARTED] {
            let missing = report.sent.offered - reader.of(*number).len() as u64;
            lost += missing;
            counted += missing.min(of_it);
        }
    }
    let holes: u64 = world.readers[..RESTARTED].iter().flatten().map(holes).sum();
    let mut gaps = 0;
    for node in &world.nodes[..RESTARTED] {
        let news = node.news_since(begun);
        gaps += origins.values().map(|origin| told_as_missing(&news, &origin.id)).sum::<u64>() * 5;
    }
    let changes = observer.told(|told| {
        told.watched.iter().filter(|(_, it)| !matches!(it, Watched::Reset(_))).count()
    });
    let mut row = Row::new("C10");
    row.most("clients back after", back, 5.0, " s");
    row.note("messages sent", sent);
    row.note("messages lost", lost);
    row.is("lost and counted nowhere", lost - counted, 0);

    row.note("holes in the streams of clients", holes);
    row.is("holes that are counted nowhere", holes.saturating_sub(gaps), 0);

    row.is("wrong sums of the shutdowns", wrong_sums, 0);
    row.is("reasons of NodeLeft", reasons.join(" ").as_str(), "Bye Bye Bye");
    let bye = percentile(bye, 0.5) as f64 / 1e3;
    row.most("NodeLeft after the end, median", bye, 100.0, " ms");
    row.is("presence events", changes, 0);
    row.is("duplicates", world.faults().0, 0);
    row.end();
}
