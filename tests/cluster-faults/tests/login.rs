//! C11: a broker that is absent, says nothing, or refuses the login.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::time::sleep;
use veltix_cluster_faults::{News, Place, Settings, now};

use crate::stage::{Broker, Node, Reader, Row, between};

fn settings(number: u16, broker: &str, optional: bool) -> Settings {
    let (name, broker) = (format!("node-{number}"), broker.to_owned());
    Settings { number, name, broker, optional, ..Settings::default() }
}

/// Tries to start a node, and returns the reason for which it does not start, and the seconds until then.
async fn refusal(broker: &str) -> (String, f64) {
    let start = Instant::now();
    let reason = Node::attempt(settings(0, broker, false)).await.err().unwrap_or_default();
    (reason, start.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c11_a_broker_that_cannot_be_used_is_tried_with_patience() {
    const NODES: u16 = 10;
    const WHILE: u64 = 8;
    let login = |password: &str| format!("authorization {{ user: a, password: {password} }}");
    let Some(mut broker) = Broker::prepare("c11", &login("old")) else { return };
    let mut row = Row::new("C11");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("nats://{}", silent.local_addr().unwrap());
    let absent_url = broker.url();
    let (absent, hung) = tokio::join!(refusal(&absent_url), refusal(&silent_url));
    for (name, (reason, took)) in [("absent", absent), ("silent", hung)] {
        row.is(&format!("{name} broker: error"), !reason.is_empty(), true);
        // The start of a process takes a moment.
        row.most(&format!("{name} broker: error after"), took, 5.5, " s");
    }
    // A node that may start without a broker serves its own clients.
    let url = |password: &str| format!("nats://a:{password}@127.0.0.1:{}", broker.port());
    let mut nodes = vec![Node::start(settings(0, &url("old"), true)).await];
    let is_degraded = nodes[0].state().await.degraded.is_some();
    row.is("optional broker: degraded", is_degraded, true);
    let reader = Reader::connect(&nodes[0].settings.addr, "user", &["hall"]).await;
    row.is(
        "optional broker: own clients served",
        nodes[0].send(Place::Everywhere, 0).await.local_queued,
        1,
    );
    reader.hears(1).await;
    let (right, wrong) = (url("old"), url("wrong"));
    broker.restart().await;
    let back = now();
    let is_recovered = |news: &News| matches!(news, News::Recovered { .. });
    let connected = nodes[0].news(back, is_recovered).await;
    row.most("optional broker: connected after", between(back, connected), 4.0, " s");
    let (reason, took) = refusal(&wrong).await;
    row.is("wrong password: refused", reason.contains("refuses the login"), true);
    row.most("wrong password: error after", took, 1.0, " s");
    let others = (1..NODES).map(|number| Node::start(settings(number, &right, false)));
    nodes.extend(join_all(others).await);
    join_all(nodes.iter().map(|node| node.sees(usize::from(NODES) - 1))).await;
    // The server ends the connections whose login is no longer right.
    let changed = now();
    broker.configure(&login("new"));
    broker.signal("-HUP");
    let is_degraded = |news: &News| matches!(news, News::Degraded { .. });
    let told = join_all(nodes.iter().map(|node| node.news(changed, is_degraded))).await;
    let last = told.into_iter().max().unwrap_or(u64::MAX);
    row.most("password changed: degraded after", between(changed, last), 1.0, " s");
    let before = broker.logged("authentication error");
    sleep(Duration::from_secs(WHILE)).await;
    let attempts = broker.logged("authentication error") - before;
    let reasons = join_all(nodes.iter().map(Node::state)).await;
    let names = reasons.into_iter().filter_map(|state| state.degraded);
    let named = names.filter(|reason| reason.to_lowercase().contains("authorization"));
    row.is("password changed: nodes that name it", named.count(), usize::from(NODES));
    row.is(
        "password changed: own clients served",
        nodes[0].send(Place::Everywhere, 0).await.local_queued,
        1,
    );
    let rate = attempts as f64 / f64::from(NODES) / WHILE as f64;
    row.least("password changed: attempts", attempts, usize::from(NODES));
    // One a second on average, and the first one half a second earlier: 85 are expected, with a standard deviation
    // of about 5.
    row.most("attempts of a node in a second", rate, 1.35, "");
    let back = now();
    broker.configure(&login("old"));
    broker.signal("-HUP");
    let times = join_all(nodes.iter().map(|node| node.news(back, is_recovered))).await;
    let last = times.into_iter().max().unwrap_or(u64::MAX);
    row.most("password back: all connected after", between(back, last), 4.0, " s");
    row.end();
}
