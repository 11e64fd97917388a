//! C1, C2 and C8: no fault, hostile tags, and large messages.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::sleep;
use veltix_cluster_faults::{Load, News, Place, now, percentile};
use veltix_core::limits::CLUSTER_DISCOVERY;

use crate::stage::{Balance, Heard, Reader, Row, Setup, World, seconds, soon};

fn numbers(heard: &[Heard]) -> BTreeSet<(u16, u64)> {
    heard.iter().map(|heard| (heard.said.origin, heard.said.number)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_without_a_fault_each_message_arrives_once_and_in_order() {
    const EACH: u64 = 10_000;
    let Some(world) = World::start("c01", Setup::default()).await else { return };
    // The room has holders on two nodes. So these two send to it directly, and the third one by the subject of all.
    let is_holder = |node: usize, number: usize| node < 2 && number.is_multiple_of(2);
    for (node, readers) in world.readers.iter().enumerate() {
        for (_, reader) in readers.iter().enumerate().filter(|(it, _)| is_holder(node, *it)) {
            reader.join(&["pair".to_owned()]).await;
        }
    }
    // Until then other nodes may exist, and each message goes to all.
    sleep(CLUSTER_DISCOVERY).await;
    let begun = Instant::now();
    // Of 20 000 messages each node sends a third. Every second one is for the room.
    let counts = [6_668, 6_666, 6_666];
    let loads = world.nodes.iter().zip(counts).map(|(node, count)| {
        let room = Some("pair".to_owned());
        node.load(Load { rate: 2_500, count, room, length: 64 })
    });
    let reports = join_all(loads).await;
    let broadcasts: u64 = reports.iter().map(|report| report.broadcasts).sum();
    let sent: u64 = reports.iter().map(|report| report.sent.offered).sum();
    let expected = |node, number| if is_holder(node, number) { sent } else { broadcasts };
    for (node, readers) in world.readers.iter().enumerate() {
        for (number, reader) in readers.iter().enumerate() {
            reader.hears(expected(node, number) as usize).await;
        }
    }
    let took = begun.elapsed();
    // A message too much comes within this time, if there is one.
    world.quiet(Duration::from_millis(300)).await;
    let mut wrong_sets = 0;
    for (node, readers) in world.readers.iter().enumerate() {
        for (number, reader) in readers.iter().enumerate() {
            let (heard, holds) = (reader.heard(), is_holder(node, number));
            let is_for_it = heard.iter().all(|heard| holds || !heard.said.to_room);
            let is_whole = numbers(&heard).len() as u64 == expected(node, number);
            wrong_sets += usize::from(!is_for_it || !is_whole);
        }
    }
    let (twice, early) = world.faults();
    // A record that has come back to its own node would be counted as one of another node.
    let (mut echoes, mut direct) = (0, 0);
    for node in &world.nodes {
        let state = node.state().await;
        echoes += state.nodes.iter().filter(|(id, _)| *id == node.id).count();
        direct += state.nodes.iter().map(|(_, it)| it.direct.offered).sum::<u64>();
    }
    let ages = world.all().flat_map(Reader::heard).map(|heard| heard.age());
    let mut row = Row::new("C1");
    row.is("broadcasts", broadcasts, EACH);
    row.is("sends to a room", sent - broadcasts, EACH);
    row.is("clients with a wrong set", wrong_sets, 0);
    row.is("out of order", early, 0);
    row.is("duplicates", twice, 0);
    row.is("self-echoes", echoes, 0);
    row.least("direct records", direct, 6_667);
    row.note("p99 of the ages", format_args!("{:.1} ms", seconds(percentile(ages, 0.99)) * 1e3));
    row.most("all heard after", took.as_secs_f64(), 20.0, " s");
    row.is("records missed", Balance::missed(&world.nodes).await, 0);
    row.end();
}

/// Texts that mean something in subjects of NATS, in UTF-8 or in lines, and one of the longest.
fn hostile() -> Vec<String> {
    let texts = [
        "a.b",
        "a.*",
        "*",
        ">",
        "a.>",
        ".",
        "..",
        "é",
        "e\u{301}",
        " ",
        "a b",
        "\t",
        "\r",
        "\0",
        "vx.faults.1.all",
        "_INBOX.>",
        "$SYS.>",
        "A",
        "a",
    ];
    texts.map(str::to_owned).into_iter().chain(["x".repeat(1_024), "x".repeat(1_023)]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c02_hostile_tags_reach_their_holders_only() {
    const ROOMS: u64 = 10_000;
    let Some(world) = World::start("c02", Setup::default()).await else { return };
    let rooms =
        |range: std::ops::Range<u64>| range.map(|room| format!("r{room}")).collect::<Vec<_>>();
    let (hostile, each) = (hostile(), ROOMS / 10);
    // Clients of two nodes hold all tags. Those of the third node hold none, and it sends.
    let holders: Vec<_> = world.readers[1].iter().chain(&world.readers[2]).collect();
    let joins = holders.iter().zip(0..).map(|(reader, number)| async move {
        reader.join(&rooms(number * each..(number + 1) * each)).await;
    });
    join_all(joins).await;
    // Each hostile tag has one holder.
    for (number, room) in hostile.iter().enumerate() {
        holders[number % holders.len()].join(std::slice::from_ref(room)).await;
    }
    let mut subscriptions = Vec::new();
    let mut look = async || {
        let connections = world.broker.connections().await;
        subscriptions.extend(connections.iter().map(|it| it["subscriptions"].as_u64()));
    };
    look().await;
    let sent = world.nodes[0].send_each("r", ROOMS).await;
    look().await;
    for reader in &holders {
        reader.hears(each as usize).await;
    }
    world.quiet(Duration::from_millis(300)).await;
    let mut leaks = 0;
    for (reader, number) in holders.iter().zip(0..) {
        let own = number * each..(number + 1) * each;
        leaks += reader.heard().iter().filter(|it| !own.contains(&it.said.number)).count();
        leaks += reader.len().abs_diff(each as usize);
        reader.clear();
    }
    leaks += world.readers[0].iter().map(Reader::len).sum::<usize>();
    let mut wrong = 0;
    for (number, room) in hostile.iter().enumerate() {
        let sent = world.nodes[0].send(Place::Room(room.clone()), 0).await;
        wrong += usize::from(sent.nodes_matched != 1);
        let holder = holders[number % holders.len()];
        holder.hears(1 + number / holders.len()).await;
    }
    world.quiet(Duration::from_millis(300)).await;
    leaks += world.all().map(Reader::len).sum::<usize>().abs_diff(hostile.len());
    look().await;
    let cleared = Instant::now();
    join_all(holders.iter().map(|reader| reader.leave())).await;
    let left = Instant::now();
    // No node is told of a tag that nobody holds any more.
    soon(async {
        while world.nodes[0].send(Place::Room("r5".to_owned()), 0).await.nodes_matched > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let base = left.elapsed();
    let after = world.nodes[0].send_each("r", ROOMS).await.nodes_matched;
    look().await;
    let mut row = Row::new("C2");
    row.is("sends", sent.offered, ROOMS);
    row.is("nodes of all sends", sent.nodes_matched, ROOMS);
    row.is("cross-tag leaks", leaks, 0);
    row.is("hostile tags with another number of nodes", wrong, 0);
    let is_two = |it: &&Option<u64>| **it != Some(2);
    row.is("connections without 2 subscriptions", subscriptions.iter().filter(is_two).count(), 0);
    row.is("connections seen", subscriptions.len(), 12);
    row.note("time of the clear", format_args!("{:.2} s", (left - cleared).as_secs_f64()));
    row.is("nodes told of cleared tags", after, 0);
    row.most("interest at its base after", base.as_secs_f64(), 2.0, " s");
    row.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c08_large_messages_arrive_whole() {
    let mut row = Row::new("C8");
    for (limit, config) in [("1 MiB", ""), ("64 KiB", "max_payload: 65536")] {
        let setup = Setup { broker: config, ..Setup::default() };
        let Some(world) = World::start("c08", setup).await else { return };
        let (begun, start) = (now(), Instant::now());
        // The head of a frame counts.
        let lengths = [5 << 20, (10 << 20) - 15];
        for length in lengths {
            assert_eq!(world.nodes[0].send(Place::Everywhere, length).await.nodes_matched, 2);
        }
        for reader in world.all() {
            reader.hears(lengths.len()).await;
        }
        let took = start.elapsed();
        world.quiet(Duration::from_millis(300)).await;
        let is_whole = |reader: &&Reader| {
            let heard: Vec<_> = reader.heard().iter().map(|heard| heard.said.length).collect();
            reader.broken() == 0 && heard == lengths
        };
        let whole = world.all().filter(is_whole).count();
        let is_loss = |news: &News| {
            matches!(news, News::Degraded { .. } | News::Gap { .. } | News::Dropped { .. })
        };
        let lost = world.nodes.iter().flat_map(|node| node.news_since(begun)).filter(is_loss);
        row.is(&format!("max_payload {limit}: clients with both messages whole"), whole, 15);
        row.is(&format!("max_payload {limit}: reconnects, gaps, drops"), lost.count(), 0);
        row.note(
            &format!("max_payload {limit}: time"),
            format_args!("{:.1} s", took.as_secs_f64()),
        );
    }
    row.end();
}
