//! One run, from its seed to its result.

use fastrand::Rng;
use tokio::runtime::Handle;
use veltix::{all, tag};

use super::app::App;
use super::host::Host;
use super::ledger::Side;
use super::network::Network;
use super::plan::Plan;
use super::record::{Record, Verdict};
use super::seeds::on_a_thread;
use super::{check, faults, traffic};

/// The milliseconds after which no operation is in progress: a peer in a black hole has timed out
/// by then.
const CALM: u64 = 15_000;

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
    let network = Network::new(record, plan.weather, rng.fork());
    let app = App::new(record, rng.fork());
    let host = Host::new(&app, &network, plan.server.clone());
    let clients: Vec<_> = (0..plan.clients)
        .map(|_| {
            let (network, config) = (network.clone(), plan.client.clone());
            tokio::spawn(traffic::live(app.clone(), network, config, plan.deeds, rng.fork()))
        })
        .collect();
    let presiding =
        tokio::spawn(traffic::preside(app.clone(), host.clone(), plan.deeds, rng.fork()));
    let watching = tokio::spawn(check::watch(network.clone(), app.ledger.clone(), record.clone()));
    let befalling = faults::befall(app.clone(), network.clone(), host.clone(), plan.faults, rng);
    befalling.await;
    network.lines().values().for_each(|line| line.heal());
    let mut connected = Vec::new();
    for client in clients {
        connected.extend(client.await.expect("a client does not panic"));
    }
    presiding.await.expect("the server's part does not panic");
    watching.abort();
    record.pause(CALM).await;
    check::quiet(&app.ledger, record);

    if !plan.clients_first {
        host.drain().await;
    }
    app.ledger.closing_all(Side::Client);
    for client in connected {
        client.close().await;
    }
    record.pause(CALM).await;
    if let Some(hub) = host.hub() {
        let left = [hub.count(all()), hub.count(tag("room"))].map(|count| count.expect("valid"));
        if left != [0, 0] {
            record.wrong(format_args!("{left:?} peers are listed after all have left"));
        }
    }
    host.drain().await;
    check::everything(&network, &app.ledger, record).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    if tasks > 0 {
        record.wrong(format_args!("{tasks} tasks are alive after the end"));
    }
}
