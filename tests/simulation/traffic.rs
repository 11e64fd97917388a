//! The messages that clients and the server send on their own initiative.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::timeout;
use veltix::{Client, ClientConfig, all, peers};

use super::app::App;
use super::body::{SAY, Wish};
use super::host::Host;
use super::ledger::{Side, line_of};
use super::network::Network;

/// Runs a client until it has completed its actions.
pub(super) async fn live(
    app: App,
    network: Network,
    config: ClientConfig,
    deeds: usize,
    mut rng: Rng,
) -> Option<Client> {
    let client = match Client::connect_with(network, config, app.client_router()).await {
        Ok(client) => client,
        Err(error) => {
            app.record.note(format_args!("a client stops: {error}"));
            return None;
        }
    };
    // Two tasks share the client, as in an application.
    let [one, other] = [rng.fork(), rng.fork()]
        .map(|rng| tokio::spawn(talk(app.clone(), client.clone(), deeds, rng)));
    for task in [one, other] {
        task.await.expect("it does not panic");
    }
    Some(client)
}

async fn talk(app: App, client: Client, deeds: usize, mut rng: Rng) {
    for _ in 0..deeds {
        app.record.pause(rng.u64(..60)).await;
        let peer = client.peer();
        match rng.u8(..20) {
            0..=11 => {
                let wish = match rng.u8(..24) {
                    0..3 => Wish::Wait(rng.u16(..100)),
                    3..6 => Wish::Room(rng.u16(..3)),
                    6 => Wish::AskBack,
                    7 => Wish::Panic,
                    _ => Wish::Nothing,
                };
                let body = app.body(wish);
                let message = body.message(SAY);
                let sent = match rng.u8(..4) {
                    0 => peer.try_send(&message),
                    // Some sends are cancelled; then the message was not accepted.
                    1 => {
                        let patience = Duration::from_millis(rng.u64(1..40));
                        match timeout(patience, peer.send(&message)).await {
                            Ok(sent) => sent,
                            Err(_) => continue,
                        }
                    }
                    _ => peer.send(&message).await,
                };
                let line = line_of(&peer);
                app.record.note(format_args!("{line}: {} is sent: {sent:?}", body.number));
                if sent.is_ok() {
                    app.ledger.accepted(&peer, Side::Client, body.number, true);
                }
            }
            12..=16 => {
                let wish = rng.bool().then(|| Wish::Wait(rng.u16(..300)));
                app.ask(&peer, Side::Client, wish.unwrap_or(Wish::Nothing)).await;
            }
            17 => {
                let patience = Duration::from_millis(rng.u64(1..60));
                // The call is usually dropped before it completes.
                let _ = timeout(patience, app.ask(&peer, Side::Client, Wish::Wait(50))).await;
            }
            18 => drop(peer.ping().await),
            _ => app.record.pause(rng.u64(..400)).await,
        }
    }
}

/// Runs the server's own actions.
pub(super) async fn preside(app: App, host: Host, deeds: usize, mut rng: Rng) {
    for _ in 0..deeds {
        app.record.pause(rng.u64(..50)).await;
        let Some(hub) = host.hub() else { continue };
        let mut listed = app.listed(&hub, &all());
        let anybody = match listed.len() {
            0 => None,
            many => Some(listed.swap_remove(rng.usize(..many))),
        };
        match (rng.u8(..20), anybody) {
            (0..6, _) => {
                for _ in 0..rng.usize(1..8) {
                    app.publish(&hub, None, Wish::Nothing);
                }
            }
            (6..10, anybody) => {
                for _ in 0..rng.usize(1..30) {
                    app.publish(&hub, anybody.as_ref(), Wish::Key(rng.u16(..3)));
                }
            }
            (10..13, Some(peer)) => {
                let app = app.clone();
                tokio::spawn(async move { app.ask(&peer, Side::Server, Wish::Wait(30)).await });
            }
            (13..15, Some(peer)) => drop(peer.join("room", rng.i64(..3))),
            (15, Some(peer)) => drop(peer.remove_tag("room")),
            (16, Some(peer)) if rng.u8(..3) == 0 => {
                app.record.note(format_args!("{} is disconnected", line_of(&peer)));
                app.ledger.book(&peer, Side::Server, |book| book.closed_here = true);
                let closed = hub.close(peers([&peer]), "shown the door");
                closed.expect("it is within the limits");
            }
            _ => app.publish(&hub, None, Wish::Wait(rng.u16(..60))),
        }
    }
}
