//! C5: the network between a node and the broker is cut, and heals.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use veltix_cluster_faults::{Load, News, Order, now};

use crate::stage::{Broker, Members, Reader, Row, World, apart, between, run, soon};

#[test]
fn c05_a_node_that_is_cut_off_serves_and_comes_back() {
    apart("cut::c05_a_node_that_is_cut_off_serves_and_comes_back", cut_and_heal());
}

/// The peers in the room, of all nodes.
async fn truth(world: &World) -> BTreeSet<String> {
    let peers = join_all(world.nodes.iter().map(|node| node.peers())).await;
    peers.into_iter().flatten().collect()
}

async fn cut_and_heal() {
    let Some(broker) = Broker::start("c05", "").await else { return };
    // Node B reaches the broker at an address of its own, which the rules name.
    let (url, of_b) = (broker.url(), format!("nats://127.0.0.2:{}", broker.port()));
    let mut world = World::with(broker, vec![url.clone(), of_b, url], 5).await;
    for node in &world.nodes {
        node.watch("hall", None).await;
    }
    let load = || Load { rate: 100, count: 100_000, room: None, length: 64 };
    let mut orders = Vec::new();
    for node in &world.nodes {
        orders.push(node.order(&Order::Load(load())).await);
    }
    let members_of_b: BTreeSet<_> = world.nodes[1].peers().await.into_iter().collect();
    let sees_all = async {
        for node in &world.nodes {
            node.until(|told| (Members::of(&told.watched).now.len() == 15).then_some(())).await;
        }
    };
    soon(sees_all).await;
    for readers in &world.readers {
        soon(async {
            while readers[0].of(1).len() < 50 {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
    let cut = now();
    assert!(run("nft", "add table inet cut"));
    for chain in ["input", "output"] {
        let words = format!(
            "add chain inet cut {chain} {{ type filter hook {chain} priority 0 ; policy accept ; }}"
        );
        assert!(run("nft", &words));
        for side in ["saddr", "daddr"] {
            assert!(run("nft", &format!("add rule inet cut {chain} ip {side} 127.0.0.2 drop")));
        }
    }
    // Both sides change meanwhile.
    drop(world.readers[1].pop());
    let new = Reader::connect(&world.nodes[1].settings.addr, "new", &["hall"]).await;
    world.readers[0].push(Reader::connect(&world.nodes[0].settings.addr, "other", &["hall"]).await);
    world.readers[1].push(new);
    sleep(Duration::from_secs(20)).await;
    assert!(run("nft", "delete table inet cut"));
    let start = Instant::now();
    let truth = truth(&world).await;
    let is_true =
        join_all(world.nodes.iter().map(|node| {
            node.until(|told| (Members::of(&told.watched).now == truth).then_some(()))
        }));
    soon(is_true).await;
    let equal = start.elapsed().as_secs_f64();
    join_all(world.nodes.iter().map(|node| node.end_loads())).await;
    let mut lost_at_home = 0;
    for (number, order) in orders.into_iter().enumerate() {
        let report: veltix_cluster_faults::LoadReport = world.nodes[number].answer(order).await;
        world.quiet(Duration::from_secs(1)).await;
        // The first three were there from the beginning.
        for reader in &world.readers[number][..3] {
            let heard = reader.of(number as u16).len() as u64;
            lost_at_home += report.sent.offered.abs_diff(heard);
        }
    }
    let mut row = Row::new("C5");
    for (name, number) in [("A", 0), ("C", 2)] {
        let node = &world.nodes[number];
        // The lease counts from the last message that has arrived.
        let before = world.readers[number][0].of(1).into_iter().map(|it| it.at);
        let heard = before.filter(|at| *at < cut + 5_000_000).max().unwrap_or_default();
        let members = node.told(|told| Members::of(&told.watched));
        let left = members.left.iter().filter(|(_, it)| members_of_b.contains(it));
        let times: Vec<_> = left.map(|(at, _)| between(heard, *at)).collect();
        row.is(&format!("members of B dropped by {name}"), times.len(), 5);
        let (first, last) = times
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(least, most), it| (least.min(*it), most.max(*it)));
        row.within(&format!("the first by {name} after"), first, (10.0, 12.0), " s");
        row.within(&format!("the last by {name} after"), last, (10.0, 12.0), " s");
        row.is(&format!("entered or left twice at {name}"), members.wrong, 0);
    }
    row.most("watches equal truth after", equal, 6.0, " s");
    let is_degraded = |news: &News| matches!(news, News::Degraded { .. });
    let degraded = world.nodes[1].news(cut, is_degraded).await;
    row.most("B degraded after", between(cut, degraded), 7.0, " s");
    row.is("local messages lost", lost_at_home, 0);
    row.is("duplicates", world.faults().0, 0);
    row.end();
}
