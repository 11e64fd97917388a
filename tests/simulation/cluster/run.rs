//! One run, from its seed to its result.

use fastrand::Rng;
use tokio::runtime::Handle;

use super::super::network::Network;
use super::super::record::{Record, Verdict};
use super::super::seeds::on_a_thread;
use super::app::App;
use super::broker::Broker;
use super::host::{Host, Settings};
use super::plan::Plan;
use super::{check, faults, quiet, sums, traffic};

/// The milliseconds between two looks at the counters.
const LOOK_EVERY: u64 = 250;

/// Runs the simulation of this seed.
pub(super) fn run(seed: u64, is_verbose: bool) -> Verdict {
    run_with(seed, is_verbose, || {})
}

/// Runs the simulation of this seed, after `first` has run on its thread.
pub(super) fn run_with(seed: u64, is_verbose: bool, first: impl FnOnce() + Send) -> Verdict {
    on_a_thread(seed, is_verbose, first, async move |record| simulate(seed, record).await)
}

async fn simulate(seed: u64, record: &Record) {
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::new(&mut rng);
    record.note(format_args!("{plan:?}"));
    let broker = Broker::new(record, plan.conditions, rng.fork());
    let carrying = tokio::spawn(broker.clone().carry());
    let app = App::new(record);
    let hosts: Vec<_> = (0..plan.nodes)
        .map(|number| {
            let network = Network::new(record, plan.weather, rng.fork());
            let Plan { message_ttl, max_batch, queue_bytes, .. } = plan;
            let server = plan.server.clone();
            let settings = Settings { server, message_ttl, max_batch, queue_bytes };
            Host::new(number, &app, &broker, network, settings)
        })
        .collect();
    let watching = tokio::spawn(watch(record.clone(), broker.clone(), hosts.clone()));
    let connecting: Vec<_> = (0..plan.clients)
        .map(|number| {
            let host = hosts[number % hosts.len()].clone();
            tokio::spawn(traffic::connect(app.clone(), host, plan.client.clone()))
        })
        .collect();
    let acting: Vec<_> = hosts
        .iter()
        .map(|host| {
            let (app, host, rng) = (app.clone(), host.clone(), rng.fork());
            tokio::spawn(traffic::act(app, host, plan.deeds, plan.seldom_moves, rng))
        })
        .collect();
    let (record_of_faults, every) = (record.clone(), hosts.clone());
    let befalling = faults::befall(
        record_of_faults,
        broker.clone(),
        every,
        plan.faults,
        plan.conditions,
        rng.fork(),
    );
    befalling.await;
    for acts in acting {
        acts.await.expect("it does not panic");
    }
    broker.heal();
    let mut clients = Vec::new();
    for client in connecting {
        clients.push(client.await.expect("it does not panic"));
    }
    quiet::check(&app, &broker, &hosts, &plan, rng).await;
    watching.abort();
    check::messages(record, &broker, &app.ledger, &plan);
    for host in &hosts {
        host.drain().await;
    }
    for client in clients {
        client.close().await;
    }
    carrying.abort();
    record.pause(1_000).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    if tasks > 0 {
        record.wrong(format_args!("{tasks} tasks are alive after the end"));
    }
}

/// Looks at the counters of all nodes, until it is dropped.
async fn watch(record: Record, broker: Broker, hosts: Vec<Host>) {
    loop {
        record.pause(LOOK_EVERY).await;
        for (_, cluster, _) in hosts.iter().filter_map(Host::node) {
            sums::of_node(&record, &broker, &cluster);
        }
    }
}
