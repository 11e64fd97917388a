//! The hosts of the nodes. A node stops, and another one with the same name starts at its host.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::task::JoinHandle;
use veltix::{Hub, Server, ServerConfig};
use veltix_cluster::{Cluster, ClusterConfig, NodeId};

use super::super::network::Network;
use super::app::App;
use super::broker::Broker;
use super::engine::Engine;
use super::events;

/// A clone is a handle of the same host.
#[derive(Clone)]
pub(super) struct Host(Arc<Inner>);

/// The settings of a node.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) server: ServerConfig,
    pub(super) message_ttl: u64,
    pub(super) max_batch: usize,
    pub(super) queue_bytes: usize,
}

struct Inner {
    number: usize,
    app: App,
    broker: Broker,
    network: Network,
    settings: Settings,
    running: Mutex<Option<Running>>,
}

/// A running node.
struct Running {
    node: NodeId,
    hub: Hub,
    task: JoinHandle<()>,
}

impl Host {
    pub(super) fn new(
        number: usize,
        app: &App,
        broker: &Broker,
        network: Network,
        settings: Settings,
    ) -> Self {
        let (app, broker, running) = (app.clone(), broker.clone(), Mutex::default());
        let host = Self(Arc::new(Inner { number, app, broker, network, settings, running }));
        host.start();
        host
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.running.lock().expect("nobody panics with it")
    }

    pub(super) fn number(&self) -> usize {
        self.0.number
    }

    pub(super) fn network(&self) -> Network {
        self.0.network.clone()
    }

    pub(super) fn start(&self) {
        let Inner { number, app, broker, network, settings, .. } = &*self.0;
        let engine = Engine::new(&app.record, broker, settings.max_batch);
        let config = ClusterConfig::default()
            .name(format!("host-{number}"))
            .message_ttl(Duration::from_millis(settings.message_ttl))
            .queue_bytes(settings.queue_bytes);
        let joining = Cluster::over(engine).config(config).expect("it is valid");
        let node = joining.node();
        app.record.note(format_args!("{node} starts at {number}"));
        let (listener, router) = (network.listen(), app.node_router(*number, node));
        let server = Server::with_listener(listener, settings.server.clone(), router);
        let server = server.expect("it is valid").cluster(joining);
        let hub = server.hub();
        tokio::spawn(events::watch(app.record.clone(), Cluster::of(&hub)));
        let task = tokio::spawn(async move { server.run().await.expect("it runs") });
        *self.running() = Some(Running { node, hub, task });
    }

    /// Returns the running node, if any.
    pub(super) fn node(&self) -> Option<(NodeId, Cluster, Hub)> {
        let running = self.running();
        let Running { node, hub, .. } = running.as_ref()?;
        Some((*node, Cluster::of(hub), hub.clone()))
    }

    fn stop(&self) -> Option<Running> {
        let running = self.running().take()?;
        self.0.app.ledger.node_ends(self.0.number, self.0.app.record.now());
        Some(running)
    }

    /// Drops the future of `run`.
    pub(super) async fn abort(&self) {
        let Some(Running { node, task, .. }) = self.stop() else { return };
        self.0.app.record.note(format_args!("{node} is aborted"));
        task.abort();
        // Only an abort can have ended it with an error.
        let _ = task.await;
    }

    /// Shuts the server down, and checks the sums of its report.
    pub(super) async fn drain(&self) {
        let Some(Running { node, hub, task }) = self.stop() else { return };
        let record = &self.0.app.record;
        record.note(format_args!("{node} drains"));
        let report = hub.shutdown().await;
        record.note(format_args!("{node} has drained: {report:?}"));
        let sums = report.cluster;
        if sums.queued + sums.accepted != sums.flushed + sums.dropped {
            record.wrong(format_args!("{node}: the sums of a shutdown differ: {sums:?}"));
        }
        if task.await.is_err() {
            record.wrong(format_args!("{node} ends in a panic"));
        }
    }
}
