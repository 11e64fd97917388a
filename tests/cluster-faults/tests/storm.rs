//! C13: many nodes lose their broker at once.

use futures::future::join_all;
use veltix_cluster_faults::{News, now};

use crate::stage::{Row, Setup, World, between};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_nodes_come_back_one_after_the_other() {
    const NODES: u16 = 20;
    const ROUNDS: usize = 5;
    let setup = Setup { nodes: NODES, clients: 0, ..Setup::default() };
    let Some(mut world) = World::start("c13", setup).await else { return };
    let (mut peaks, mut last) = (Vec::new(), 0.0_f64);
    for _ in 0..ROUNDS {
        let killed = now();
        world.broker.kill();
        let is_degraded = |news: &News| matches!(news, News::Degraded { .. });
        join_all(world.nodes.iter().map(|node| node.news(killed, is_degraded))).await;
        world.broker.restart().await;
        let back = now();
        let is_recovered = |news: &News| matches!(news, News::Recovered { .. });
        let times = join_all(world.nodes.iter().map(|node| node.news(killed, is_recovered))).await;
        let times: Vec<_> = times.into_iter().map(|at| between(back, at)).collect();
        let in_slot =
            |slot: i64| times.iter().filter(|at| (*at * 10.0).floor() as i64 == slot).count();
        peaks.push((0..60).map(in_slot).max().unwrap_or_default());
        last = times.into_iter().fold(last, f64::max);
    }
    for node in &world.nodes {
        node.sees(usize::from(NODES) - 1).await;
    }
    // Of twenty random delays below one second, seven are in one slot in one round of twenty. So it is the median.
    peaks.sort_unstable();
    let mut row = Row::new("C13");
    let share = peaks[ROUNDS / 2] * 100 / usize::from(NODES);
    row.most("median of the peaks per 100 ms", share as f64, 30.0, " %");
    row.note(&format!("peaks of {ROUNDS} rounds, of {NODES} nodes"), format_args!("{peaks:?}"));
    row.most("all back after", last, 4.0, " s");
    row.end();
}
