//! The server, which stops and starts again.

use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use veltix::{Hub, Server, ServerConfig, all, tag};

use super::app::App;
use super::ledger::Side;
use super::network::Network;

/// A clone is a handle of the same host.
#[derive(Clone)]
pub(super) struct Host(Arc<Inner>);

struct Inner {
    app: App,
    network: Network,
    config: ServerConfig,
    running: Mutex<Option<(Hub, JoinHandle<()>)>>,
}

impl Host {
    pub(super) fn new(app: &App, network: &Network, config: ServerConfig) -> Self {
        let (app, network) = (app.clone(), network.clone());
        let host = Self(Arc::new(Inner { app, network, config, running: Mutex::default() }));
        host.start();
        host
    }

    pub(super) fn start(&self) {
        let Inner { app, network, config, running } = &*self.0;
        app.record.note(format_args!("a server starts"));
        let (listener, router) = (network.listen(), app.server_router());
        let server = Server::with_listener(listener, config.clone(), router).expect("it is valid");
        let hub = server.hub();
        let task = tokio::spawn(async move { server.run().await.expect("it runs") });
        *running.lock().expect("nobody panics with it") = Some((hub, task));
    }

    /// Returns the running server, if any.
    pub(super) fn hub(&self) -> Option<Hub> {
        let running = self.0.running.lock().expect("nobody panics with it");
        running.as_ref().map(|(hub, _)| hub.clone())
    }

    fn stop(&self) -> Option<(Hub, JoinHandle<()>)> {
        self.0.running.lock().expect("nobody panics with it").take()
    }

    /// Drops the future of `run`.
    pub(super) async fn abort(&self) {
        let Some((_, task)) = self.stop() else { return };
        self.0.app.record.note(format_args!("the server is aborted"));
        self.0.app.ledger.aborting();
        task.abort();
        // Only an abort can have ended it with an error.
        let _ = task.await;
    }

    /// Shuts the server down, and checks that no activity follows its report.
    pub(super) async fn drain(&self) {
        let Some((hub, task)) = self.stop() else { return };
        let Inner { app, network, .. } = &*self.0;
        app.record.note(format_args!("the server drains"));
        app.ledger.closing_all(Side::Server);
        let written =
            || -> Vec<_> { network.lines().values().map(|line| line.back.written()).collect() };
        let frames = || -> usize {
            network.lines().values().map(|line| line.back.tap(2).written.len()).sum()
        };
        let before = frames();
        let report = hub.shutdown().await;
        let (after, last) = (frames(), written());
        app.record.note(format_args!("the server has drained: {report:?}"));
        let wrong = |what| app.record.wrong(format_args!("a shutdown {what}: {report:?}"));
        if !report.complete {
            wrong("is not complete");
        }
        if report.flushed > (after - before) as u64 {
            wrong("counts what was not written");
        }
        if app.ledger.handlers() > 0 {
            wrong("leaves handlers running");
        }
        if hub.count(all()).expect("it is valid") > 0 || hub.count(tag("room")).expect("valid") > 0
        {
            wrong("leaves peers in its tables");
        }
        if task.await.is_err() {
            wrong("ends in a panic");
        }
        app.record.pause(50).await;
        if hub.shutdown().await != report {
            wrong("changes its mind");
        }
        if last != written()[..last.len()] {
            wrong("is followed by bytes");
        }
    }
}
