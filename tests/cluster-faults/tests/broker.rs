//! C3, C4 and C7: the broker dies, hangs, or leaves its nodes to another one.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use veltix_cluster_faults::{Load, LoadReport, News, Order, Settings, median_p99, now, percentile};

use crate::stage::{
    Balance, Broker, Node, Reader, Row, Setup, World, between, connect, seconds, soon,
};

const fn is_degraded(news: &News) -> bool {
    matches!(news, News::Degraded { .. })
}

const fn is_recovered(news: &News) -> bool {
    matches!(news, News::Recovered { .. })
}

/// Waits until each node has told this, and returns the time of the last one.
async fn last(nodes: &[Node], since: u64, is_it: impl Fn(&News) -> bool + Copy) -> u64 {
    let times = join_all(nodes.iter().map(|node| node.news(since, is_it))).await;
    times.into_iter().max().unwrap_or_default()
}

/// Returns the number of messages that clients of the origin's own node have not heard.
fn lost_at_home(world: &World, reports: &[LoadReport]) -> u64 {
    let mut lost = 0;
    for (number, report) in reports.iter().enumerate() {
        for (client, reader) in world.readers[number].iter().enumerate() {
            let in_room = client.is_multiple_of(2);
            let sent = if in_room { report.sent.offered } else { report.broadcasts };
            let heard = reader.of(world.nodes[number].settings.number);
            let heard = heard.iter().filter(|it| it.said.number >= report.numbers.0).count();
            lost += sent.abs_diff(heard as u64);
        }
    }
    lost
}

/// Returns the seconds from `back` until each client has heard a message of another node that was sent after it.
fn resumed(world: &World, back: u64) -> f64 {
    let mut latest = 0.0_f64;
    for (node, readers) in world.nodes.iter().zip(&world.readers) {
        for reader in readers {
            let heard = reader.heard();
            let is_new = |sent: u64, origin: u16| sent > back && origin != node.settings.number;
            let first = heard.iter().find(|it| is_new(it.said.sent, it.said.origin));
            latest = latest.max(first.map_or(f64::INFINITY, |it| between(back, it.at)));
        }
    }
    latest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c03_a_killed_broker_stops_no_local_service() {
    let Some(mut world) = World::start("c03", Setup::default()).await else { return };
    let load = |count| Load { rate: 500, count, room: Some("lobby".to_owned()), length: 128 };
    let before = join_all(world.nodes.iter().map(|node| node.load(load(500)))).await;
    let balance = Balance::of(&world.nodes).await;
    let orders = join_all(world.nodes.iter().map(async |node| {
        let order = Order::Load(load(100_000));
        node.order(&order).await
    }))
    .await;
    sleep(Duration::from_secs(1)).await;
    let killed = now();
    world.broker.kill();
    let degraded = between(killed, last(&world.nodes, killed, is_degraded).await);
    sleep(Duration::from_secs(3)).await;
    world.broker.restart().await;
    let back = now();
    last(&world.nodes, back, is_recovered).await;
    // The load goes on, so that each stream shows what it has lost.
    sleep(Duration::from_millis(1_500)).await;
    join_all(world.nodes.iter().map(Node::end_loads)).await;
    let reports = world.nodes.iter().zip(orders).map(|(node, order)| node.answer(order));
    let reports: Vec<LoadReport> = join_all(reports).await;
    world.quiet(Duration::from_secs(1)).await;
    let difference = balance.difference(&world.nodes).await;
    let resumed = resumed(&world, back);
    let lost = lost_at_home(&world, &reports);
    let after = join_all(world.nodes.iter().map(|node| node.load(load(500)))).await;
    let mut row = Row::new("C3");
    let p99 = |reports: &[LoadReport]| {
        reports.iter().map(|report| report.call_p99).max().unwrap_or_default() as f64 / 1e3
    };
    row.is("local messages lost", lost, 0);
    // The nodes are not optimized. On a busy machine a call takes longer with a broker as well.
    let with_broker = p99(&before).max(p99(&after));
    row.note("p99 of broadcast() before and after", format_args!("{with_broker:.2} ms"));
    row.most(
        "p99 of broadcast(), median second",
        p99(&reports),
        (2.0 * with_broker).max(1.0),
        " ms",
    );
    let in_all = reports.iter().map(|report| report.call_p99_in_all).max().unwrap_or_default();
    row.most("p99 of broadcast(), all seconds", in_all as f64 / 1e3, 50.0, " ms");
    row.most("degraded after", degraded, 1.0, " s");
    row.most("resumed after", resumed, 3.0, " s");
    let (twice, early) = world.faults();
    row.is("duplicates", twice, 0);
    row.is("out of order", early, 0);
    row.note("records missed", Balance::missed(&world.nodes).await);
    row.is("records neither received nor missed", difference, 0);
    row.is("wrong sums", Balance::wrong_sums(&world.nodes).await, 0);
    row.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c04_a_hung_broker_fills_no_memory_and_delivers_nothing_old() {
    const MIB: f64 = 1_048_576.0;
    let Some(world) = World::start("c04", Setup::default()).await else { return };
    let node = &world.nodes[0];
    // In 5 s it is more than the queue takes.
    let load = |count| Load { rate: 1_000, count, room: None, length: 4_096 };
    let own = |reader: usize, from: u64| {
        let heard = world.readers[0][reader].of(0).into_iter();
        heard.filter(|it| it.said.number >= from).map(|it| it.timed()).collect::<Vec<_>>()
    };
    let before = node.load(load(3_000)).await;
    world.quiet(Duration::from_millis(200)).await;
    let p99_before = median_p99((0..5).flat_map(|reader| own(reader, before.numbers.0)));
    let memory = node.state().await.memory;
    let order = node.order(&Order::Load(load(100_000))).await;
    // The last node that is back delivers to the others what has waited in its queue.
    let small = Load { rate: 200, count: 100_000, room: None, length: 128 };
    for other in &world.nodes[1..] {
        other.order(&Order::Load(small.clone())).await;
    }
    let stopped = now();
    world.broker.signal("-STOP");
    let mut most = 0;
    while now() - stopped < 10_000_000 {
        most = most.max(node.state().await.memory);
        sleep(Duration::from_millis(100)).await;
    }
    world.broker.signal("-CONT");
    let degraded = last(&world.nodes, stopped, is_degraded).await;
    last(&world.nodes, stopped, is_recovered).await;
    sleep(Duration::from_secs(1)).await;
    join_all(world.nodes.iter().map(Node::end_loads)).await;
    let report: LoadReport = node.answer(order).await;
    world.quiet(Duration::from_secs(1)).await;
    let local: Vec<_> = (0..5).flat_map(|reader| own(reader, report.numbers.0)).collect();
    let lost = report.sent.offered.abs_diff(local.len() as u64 / 5);
    let oldest = world.all().flat_map(Reader::heard).map(|it| it.age()).max().unwrap_or_default();
    let mut stale = 0;
    for node in &world.nodes {
        stale += node.state().await.nodes.iter().map(|(_, it)| it.stale).sum::<u64>();
    }
    let in_all = percentile(local.iter().map(|(_, age)| *age), 0.99) as f64 / 1e3;
    let (p99_before, p99) = (p99_before as f64 / 1e3, median_p99(local) as f64 / 1e3);
    let mut row = Row::new("C4");
    row.most("degraded after", between(stopped, degraded), 7.0, " s");
    row.most("growth of memory", most.saturating_sub(memory) as f64 / MIB, 24.0, " MiB");
    row.is("local messages lost", lost, 0);
    // A busy machine adds milliseconds to both.
    row.note("local p99 before", format_args!("{p99_before:.2} ms"));
    row.most("local p99, median second", p99, (2.0 * p99_before).max(p99_before + 25.0), " ms");
    row.most("local p99, all seconds", in_all, 500.0, " ms");
    row.most("oldest frame delivered", seconds(oldest), 6.0, " s");
    row.note("frames dropped as too old", stale);
    row.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c07_a_node_uses_another_broker_of_the_nats_cluster() {
    // Three servers of one NATS cluster: the routes of all lead to the first one.
    let Some(seed) = Broker::prepare("c07", "") else { return };
    let mut brokers = Vec::new();
    for number in 0..3 {
        let spare = Broker::prepare("c07", "").unwrap();
        let listen = if number == 0 { seed.port() } else { spare.port() };
        let config = format!(
            "cluster {{ name: c, listen: \"127.0.0.1:{listen}\", routes: [ \"nats://127.0.0.1:{}\" ] }}",
            seed.port()
        );
        let mut broker = Broker::prepare("c07", &config).unwrap();
        broker.restart().await;
        brokers.push(broker);
    }
    let urls: Vec<_> = brokers.iter().map(Broker::url).collect();
    let start = async |number: u16, broker: String| {
        let name = format!("node-{number}");
        Node::start(Settings { number, name, broker, ..Settings::default() }).await
    };
    // Node A knows all brokers, and is on one of them. The others are on those that stay.
    let mut nodes = vec![start(0, urls.join(",")).await];
    let mut own = 0;
    for (number, broker) in brokers.iter().enumerate() {
        if !broker.connections().await.is_empty() {
            own = number;
        }
    }
    for number in 1..3 {
        nodes.push(start(number, urls[(own + usize::from(number)) % 3].clone()).await);
    }
    join_all(nodes.iter().map(|node| node.sees(2))).await;
    let mut readers = Vec::new();
    for node in &nodes {
        readers.push(connect(node, 5).await);
    }
    let broker = brokers.remove(own);
    let mut world = World { broker, nodes, readers };
    let load = |count| Load { rate: 300, count, room: None, length: 128 };
    join_all(world.nodes.iter().map(|node| node.load(load(300)))).await;
    let balance = Balance::of(&world.nodes).await;
    let orders = join_all(world.nodes.iter().map(async |node| {
        let order = Order::Load(load(100_000));
        node.order(&order).await
    }))
    .await;
    sleep(Duration::from_secs(1)).await;
    let killed = now();
    world.broker.kill();
    let recovered = world.nodes[0].news(killed, is_recovered).await;
    // A node that is wrongly given up would leave within this time.
    sleep(Duration::from_secs(5)).await;
    join_all(world.nodes.iter().map(Node::end_loads)).await;
    let reports = world.nodes.iter().zip(orders).map(|(node, order)| node.answer(order));
    let reports: Vec<LoadReport> = join_all(reports).await;
    world.quiet(Duration::from_secs(1)).await;
    let difference = soon(balance.difference(&world.nodes)).await;
    let is_left = |news: &News| matches!(news, News::Left { .. });
    let left = world.nodes.iter().flat_map(|node| node.news_since(killed)).filter(is_left).count();
    let mut row = Row::new("C7");
    row.most("A connected after", between(killed, recovered), 2.0, " s");
    row.most("resumed after", resumed(&world, killed).min(99.0), 2.0, " s");
    row.is("false NodeLeft", left, 0);
    row.is("local messages lost", lost_at_home(&world, &reports), 0);
    row.is("duplicates", world.faults().0, 0);
    row.note("records missed", Balance::missed(&world.nodes).await);
    row.is("records neither received nor missed", difference, 0);
    row.is("wrong sums", Balance::wrong_sums(&world.nodes).await, 0);
    row.end();
}
