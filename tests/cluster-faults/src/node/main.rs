//! A node of a cluster in a process of its own. See the library of this package.

mod load;
mod news;
mod orders;
mod state;
mod talk;

use std::time::Duration;

use anyhow::{Context as _, Result};
use load::Loads;
use orders::Node;
use talk::Talk;
use veltix::cluster::{Cluster, ClusterConfig, NatsConfig};
use veltix::{BoxError, Message, Peer, Router, Server, ServerConfig};
use veltix_cluster_faults::{ASK, Ended, JOIN, LEAVE, Line, Settings, now};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let settings = std::env::args().nth(1).context("the settings are the first argument")?;
    let settings: Settings = serde_json::from_str(&settings)?;
    let talk = Talk::new();
    if let Err(error) = run(settings, &talk).await {
        talk.say(&Line::Failed { reason: format!("{error:#}") });
    }
    // The thread that reads orders would keep the process alive.
    std::process::exit(0)
}

async fn run(settings: Settings, talk: &Talk) -> Result<()> {
    let mut nats = NatsConfig::new(&settings.broker, "faults");
    if settings.optional {
        nats = nats.optional();
    }
    let nats = nats.connect().await?;
    let config = ServerConfig::default()
        .addr(settings.addr.as_str())
        .reconnect_spread(Duration::from_millis(settings.reconnect_spread))
        // The faults are those of the cluster: the limits of one peer play no part in it.
        .outbox(256 * 1024, 256 * 1024 * 1024)
        .publish_limit(None)
        .max_values(100_000)
        .max_pending_handshakes(4_096, 4_096);
    let server = Server::bind(config, router()).await?;
    let joining =
        Cluster::over(nats).config(ClusterConfig::default().name(settings.name.as_str()))?;
    let node = joining.node();
    let server = server.cluster(joining);
    let (hub, addr) = (server.hub(), server.local_addr().to_string());
    let running = tokio::spawn(server.run());
    news::tell(&hub, talk);
    talk.say(&Line::Started { addr, node: node.to_string() });
    let loads = Loads::new(hub.clone(), settings.number);
    tokio::spawn(Node::new(hub.clone(), talk.clone(), loads.clone()).obey());
    let report = hub.closed().await.cluster;
    let at = now();
    loads.idle().await;
    let (queued, accepted) = (report.queued, report.accepted);
    let (flushed, dropped) = (report.flushed, report.dropped);
    talk.say(&Line::Ended(Ended { at, queued, accepted, flushed, dropped }));
    Ok(running.await??)
}

fn router() -> Router {
    Router::new()
        .route(JOIN, |peer: Peer, rooms: &str| -> Result<&'static str, BoxError> {
            for room in rooms.split('\n') {
                match room.strip_prefix("user=") {
                    Some(user) => peer.set_tag(("user", user))?,
                    None => _ = peer.join("room", room)?,
                }
            }
            Ok("joined")
        })
        .route(LEAVE, |peer: Peer| {
            peer.clear_tags();
            "left"
        })
        .route(ASK, |message: Message| message)
}
