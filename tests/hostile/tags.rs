//! R32 and R33: the registry's locks, and the entries that peers leave in it.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};
use veltix::{Client, ClientConfig, Event, Hub, Message, Router, ServerConfig, all, tag};

use super::honest::{dial, serve};
use crate::support::alone::{self, Alone, alone, measured, mib};
use crate::support::{ECHO, OTHER, PIPE, World, frame, until};

const MINUTE: Duration = Duration::from_secs(60);

/// Performs one of each operation that reads or changes the registry.
fn meddle(hub: &Hub, number: usize) {
    let name = ["a", "b", "c"][number % 3];
    let Ok(peers) = hub.list(tag(name) | !tag("b")) else { return };
    let Some(peer) = peers.get(number % peers.len().max(1)) else { return };
    match number % 11 {
        0 => drop(peer.add_tag(name)),
        1 => drop(peer.set_tag((name, number as i64))),
        2 => drop(peer.remove_tag(name)),
        3 => drop(hub.broadcast(&Message::empty(OTHER))),
        4 => drop(hub.to(tag(name)).except(peer).send(&Message::empty(OTHER))),
        5 => drop(hub.tag(tag("b"), "c")),
        6 => drop((hub.watch(tag(name)).start(), hub.watch(tag(name)).by("d").start())),
        7 => drop(peer.join(name, number as i64)),
        8 => drop(hub.leave(tag(name), name, number as i64)),
        9 => drop((hub.join(tag("b"), "d", 1), hub.untag(tag("d"), "d"))),
        _ => drop(peer.clear_tags()),
    }
}

/// Handlers, connecting and leaving peers, and other tasks, all at the same registry.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r32_fifty_thousand_operations_block_nobody() {
    const TASKS: usize = 4;
    const OPERATIONS: usize = 50_000;
    let inside = |hub: Hub, message: Message| meddle(&hub, message.body().len());
    let router = Router::new()
        .on_connect(|hub: Hub| meddle(&hub, 0))
        .on_disconnect(|hub: Hub| meddle(&hub, 7))
        .route(ECHO, inside);
    let world = World::with(ServerConfig::default(), PIPE, router);
    let mut stay = Vec::new();
    for _ in 0..8 {
        stay.push(world.client(Router::new().route(OTHER, || {})).await);
    }
    let begun = Instant::now();
    let tasks = (0..TASKS).map(|task| {
        let (hub, connector, stays) =
            (world.hub.clone(), world.connector.clone(), stay[task].clone());
        tokio::spawn(async move {
            for number in 0..OPERATIONS / TASKS / 2 {
                meddle(&hub, number + task);
                stays.send(&Message::new(ECHO, vec![7; number % 24])).await.expect("it stays");
                if number % 50 == 0 {
                    let config = ClientConfig::default();
                    let routes = Router::new().route(OTHER, || {});
                    Client::connect_with(connector.clone(), config, routes).await.expect("room");
                }
            }
            stays.ping().await.expect("all before it was handled")
        })
    });
    let done = timeout(MINUTE, join_all(tasks)).await.expect("no task is blocked forever");
    done.into_iter().for_each(|task| _ = task.expect("no panic"));
    measured(32, format_args!("{OPERATIONS} operations in {:.1?}, 0 deadlocks", begun.elapsed()));
    assert_eq!(world.hub.handler_panics(), 0);
}

/// Connects peers, which are tagged and leave.
async fn churn(addr: std::net::SocketAddr, cycles: usize) {
    let coming = move || {
        let hello = frame(ECHO.code(), 7, "tag me");
        for _ in 0..cycles {
            let stream = dial(addr).unwrap();
            std::io::Write::write_all(&mut &stream, &hello).unwrap();
            let mut answer = hello.clone();
            std::io::Read::read_exact(&mut &stream, &mut answer).unwrap();
        }
    };
    tokio::task::spawn_blocking(coming).await.unwrap();
}

#[test]
fn r33_who_leaves_leaves_nothing() {
    // The list of threats has 50 000 cycles. An eighth of them is enough to show growth: one KiB
    // per cycle would be 6 MiB.
    const CYCLES: usize = 6_000;
    alone!(Alone::within(2 * MINUTE), async {
        let tagging = |peer: veltix::Peer| {
            for number in 0..64 {
                let value = format!("{} {number}", peer.id());
                if number % 2 == 0 {
                    peer.add_tag((format!("tag {number}"), value)).unwrap();
                } else {
                    peer.join(&format!("tag {number}"), value).unwrap();
                    peer.join("tag 1", number).unwrap();
                }
            }
        };
        let router = Router::new().on_connect(tagging);
        let (hub, addr) = serve(ServerConfig::default(), router).await;
        let mut events = hub.events();
        let nobody = async |hub: &Hub| {
            while hub.count(all()) != Ok(0) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        churn(addr, CYCLES / 4).await;
        nobody(&hub).await;
        let (before, descriptors) = (alone::memory(), alone::descriptors());
        let begun = Instant::now();
        churn(addr, CYCLES).await;
        nobody(&hub).await;
        let took = begun.elapsed();
        let ended = |event| matches!(event, Event::Disconnected { .. }).then_some(());
        until(&mut events, ended).await;
        // A task whose end was reported is released within a second.
        while alone::descriptors() > descriptors {
            sleep(Duration::from_millis(10)).await;
        }
        let grown = alone::memory().saturating_sub(before);
        measured(
            33,
            format_args!("{CYCLES} cycles in {took:.1?}: {} more, 0 descriptors", mib(grown)),
        );
        assert!(grown <= 2 << 20, "{grown}");
        for number in 0..64 {
            assert_eq!(hub.count(tag(format!("tag {number}"))), Ok(0));
        }
    });
}
