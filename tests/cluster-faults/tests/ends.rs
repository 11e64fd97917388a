//! C12 and C14: a node is killed, with a successor and without one.

use std::time::Duration;

use futures::future::join_all;
use veltix_cluster_faults::{News, Watched, now};

use crate::stage::{Members, Reader, Row, Setup, World, between, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_a_killed_node_that_starts_again_takes_its_own_place() {
    let Some(mut world) = World::start("c12", Setup::default()).await else { return };
    for node in [0, 2] {
        world.nodes[node].watch("hall", None).await;
        let complete = |told: &[(u64, Watched)]| Members::of(told).now.len() == 15;
        world.nodes[node].until(|told| complete(&told.watched).then_some(())).await;
    }
    let (old, killed) = (world.nodes[1].id.clone(), now());
    world.nodes[1].kill().await;
    world.nodes[1].restart().await;
    let new = world.nodes[1].id.clone();
    let mut row = Row::new("C12");
    for (name, node) in [("A", 0), ("C", 2)] {
        let node = &world.nodes[node];
        let is_new = |news: &News| matches!(news, News::Joined { node, .. } if *node == new);
        let joined = node.news(killed, is_new).await;
        let is_old = |news: &News| matches!(news, News::Left { node, .. } if *node == old);
        let left = node.news(killed, is_old).await;
        row.most(
            &format!("old node left {name} after the Hello"),
            between(joined, left),
            1.0,
            " s",
        );
        let reasons = node.news_since(killed).into_iter().filter_map(|news| match news {
            News::Left { node, reason } if node == old => Some(reason),
            _ => None,
        });
        row.is(
            &format!("reason at {name}"),
            reasons.collect::<Vec<_>>().join(" ").as_str(),
            "Replaced",
        );
        let names = node.state().await.others;
        row.is(
            &format!("nodes of the name at {name}"),
            names.iter().filter(|(_, it)| it == "node-1").count(),
            1,
        );
    }
    // The clients of the old node connect again, and are members once.
    soon(async {
        while world.nodes[1].state().await.peers < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let peers = join_all(world.nodes.iter().map(|node| node.peers())).await;
    let truth = peers.into_iter().flatten().collect();
    for (name, node) in [("A", 0), ("C", 2)] {
        let node = &world.nodes[node];
        let seen = node.until(|told| {
            let members = Members::of(&told.watched);
            (members.now == truth).then_some(members)
        });
        let seen = seen.await;
        row.is(&format!("members seen by {name}"), seen.now.len(), 15);
        row.is(&format!("entered or left twice at {name}"), seen.wrong, 0);
    }
    row.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c14_each_member_of_a_killed_node_leaves_once() {
    const MEMBERS: usize = 1_000;
    let setup = Setup { clients: 0, ..Setup::default() };
    let Some(mut world) = World::start("c14", setup).await else { return };
    let addr = world.nodes[1].settings.addr.clone();
    for part in 0..MEMBERS / 50 {
        let connects = (0..50).map(|number| {
            let (addr, user) = (addr.clone(), format!("{part}-{number}"));
            async move { Reader::connect(&addr, &user, &["hall"]).await }
        });
        let readers = join_all(connects).await;
        world.readers[1].extend(readers);
    }
    for node in [0, 2] {
        world.nodes[node].watch("hall", None).await;
        let complete = |told: &[(u64, Watched)]| Members::of(told).now.len() == MEMBERS;
        world.nodes[node].until(|told| complete(&told.watched).then_some(())).await;
    }
    let killed = now();
    world.nodes[1].kill().await;
    let mut row = Row::new("C14");
    for (name, node) in [("A", 0), ("C", 2)] {
        let node = &world.nodes[node];
        let seen = node.until(|told| {
            let members = Members::of(&told.watched);
            members.now.is_empty().then_some(members)
        });
        let seen = seen.await;
        row.is(&format!("Left at {name}"), seen.left.len(), MEMBERS);
        row.is(&format!("entered or left twice at {name}"), seen.wrong, 0);
        let last = seen.left.iter().map(|(at, _)| *at).max().unwrap_or(u64::MAX);
        row.most(&format!("the last at {name} after"), between(killed, last), 5.0, " s");
    }
    row.end();
}
