//! C6: a node hangs, and the others go on.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use veltix_cluster_faults::{Load, LoadReport, News, Order, median_p99, now, percentile};

use crate::stage::{Heard, Reader, Row, Setup, World, between};

/// The time for which a reader that hangs may delay the others: the broker's `write_deadline`, and more.
const WINDOW: u64 = 2_500_000;

/// Returns the messages outside of the window in which the delay was the longest.
fn outside(heard: &[Heard]) -> Vec<Heard> {
    let slowest = heard.iter().max_by_key(|it| it.age()).map_or(0, |it| it.said.sent);
    let first = slowest.saturating_sub(WINDOW);
    let without = |begin: u64| {
        let is_outside = |it: &&Heard| !(begin..begin + WINDOW).contains(&it.said.sent);
        heard.iter().filter(is_outside).copied().collect::<Vec<_>>()
    };
    let windows = (first..=slowest).step_by(100_000).map(without);
    windows.min_by_key(|rest| percentile(rest.iter().map(Heard::age), 0.99)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c06_a_hung_node_delays_the_others_once() {
    const MIB: f64 = 1_048_576.0;
    let Some(world) = World::start("c06", Setup::default()).await else { return };
    let [a, b, _] = &world.nodes[..] else { return };
    // It fills the buffers of the sockets of B within two seconds.
    let load = |count| Load { rate: 1_500, count, room: None, length: 4_096 };
    let to_c = |from: u64| {
        let heard = world.readers[2].iter().flat_map(|reader| reader.of(0));
        heard.filter(|it| it.said.number >= from).collect::<Vec<_>>()
    };
    let before = a.load(load(4_500)).await;
    world.quiet(Duration::from_millis(200)).await;
    let p99_before = median_p99(to_c(before.numbers.0).iter().map(Heard::timed));
    let memory = a.state().await.memory;
    let order = a.order(&Order::Load(load(1_000_000))).await;
    sleep(Duration::from_millis(500)).await;
    let stopped = now();
    b.signal("-STOP");
    let (mut most, mut queued) = (0, 0);
    while now() - stopped < 8_000_000 {
        let state = a.state().await;
        most = most.max(state.memory);
        // Within the window of the delay records wait.
        if now() - stopped > 6_500_000 {
            queued = queued.max(state.queued_bytes);
        }
        sleep(Duration::from_millis(100)).await;
    }
    let continued = now();
    b.signal("-CONT");
    let is_gap = |news: &News| matches!(news, News::Gap { .. });
    let gap = b.news(continued, is_gap).await;
    join_all(world.nodes.iter().map(|node| node.end_loads())).await;
    let report: LoadReport = a.answer(order).await;
    world.quiet(Duration::from_secs(1)).await;
    let at_c = to_c(report.numbers.0);
    let lost = (report.sent.offered * 5).abs_diff(at_c.len() as u64);
    let rest = outside(&at_c);
    let in_all = percentile(rest.iter().map(Heard::age), 0.99) as f64 / 1e3;
    let p99 = median_p99(rest.iter().map(Heard::timed));
    let (p99_before, p99) = (p99_before as f64 / 1e3, p99 as f64 / 1e3);
    let longest = at_c.iter().map(Heard::age).max().unwrap_or_default() as f64 / 1e3;
    let mut row = Row::new("C6");
    row.is("messages lost from A to C", lost, 0);
    row.note("p99 from A to C before", format_args!("{p99_before:.2} ms"));
    // A busy machine adds milliseconds to both.
    row.most(
        "p99 outside of one window of 2.5 s, median second",
        p99,
        (3.0 * p99_before).max(p99_before + 50.0),
        " ms",
    );
    row.most("p99 outside of that window, all seconds", in_all, 500.0, " ms");
    row.note("longest from A to C", format_args!("{longest:.0} ms"));
    row.note("gap told by B after", format_args!("{:.2} s", between(continued, gap)));
    row.most("growth of the memory of A", most.saturating_sub(memory) as f64 / MIB, 24.0, " MiB");
    row.most("queue of A behind the window", queued as f64 / MIB, 1.0, " MiB");
    row.is("duplicates", world.all().map(Reader::faults).map(|(twice, _)| twice).sum(), 0_usize);
    row.end();
}
