//! R17, R18 and R22: a network that accepts all data and delivers none, and a clock that jumps.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep, timeout};
use veltix::{Client, ClientConfig, CloseReason, Message, RequestError, Router, ServerConfig, all};

use super::honest::serve;
use crate::support::alone::{self, Alone, alone, measured};
use crate::support::{ECHO, OTHER, TempDir};

/// Runs in a network namespace of its own, in which `nft` may drop packets.
fn apart() -> Alone {
    Alone::within(Duration::from_secs(60)).under(["unshare", "--net"]).needs("ip").needs("nft")
}

fn run(program: &str, words: &str) {
    let done = Command::new(program).args(words.split(' ')).output().expect("it starts");
    assert!(done.status.success(), "{program} {words}: {done:?}");
}

/// Brings up the loopback interface of the namespace.
fn network() {
    run("ip", "link set lo up");
}

/// Drops all packets from now on, without any notification.
fn cut() {
    run("nft", "add table inet cut");
    run(
        "nft",
        "add chain inet cut everything { type filter hook input priority 0 ; policy drop ; }",
    );
}

#[test]
fn r17_a_peer_that_lost_its_power_is_given_up_by_both_sides() {
    alone!(apart(), async {
        network();
        let interval = Some(Duration::from_secs(1));
        let (hub, addr) = serve(ServerConfig::default().heartbeat(interval), Router::new()).await;
        let (tasks, descriptors) = (alone::tasks(), alone::descriptors());
        let config = ClientConfig::default().addr(addr.to_string()).heartbeat(interval);
        let client = Client::connect(config, Router::new()).await.unwrap();
        client.request(&Message::from_text(ECHO, "there?")).await.unwrap();
        let peer = hub.list(all()).unwrap().remove(0);
        cut();
        let begun = Instant::now();
        let end = |closing: veltix::future::Closing| async move {
            let end = closing.await;
            assert_eq!(end.reason, CloseReason::HeartbeatTimeout);
            begun.elapsed()
        };
        let (server, client_took) = tokio::join!(end(peer.closed()), end(client.peer().closed()));
        measured(17, format_args!("closed after {server:.2?} and {client_took:.2?}"));
        for took in [server, client_took] {
            assert!(
                (Duration::from_secs(2)..Duration::from_millis(3_500)).contains(&took),
                "{took:?}"
            );
        }
        drop((client, peer));
        nobody_is_left(tasks, descriptors).await;
    });
}

#[test]
fn r18_a_peer_that_is_gone_with_unacknowledged_bytes_is_given_up() {
    alone!(apart(), async {
        network();
        let config =
            ServerConfig::default().write_stall(Some(Duration::from_secs(3))).heartbeat(None);
        let (hub, addr) = serve(config, Router::new()).await;
        let (tasks, descriptors) = (alone::tasks(), alone::descriptors());
        let config = ClientConfig::default().addr(addr.to_string()).heartbeat(None);
        // One peer is sent little data, so that the kernel accepts all of it, and one peer is sent
        // much.
        for length in [100, 8 << 20] {
            let client = Client::connect(config.clone(), Router::new()).await.unwrap();
            client.request(&Message::from_text(ECHO, "there?")).await.unwrap();
            let peer = hub.list(all()).unwrap().remove(0);
            cut();
            let begun = Instant::now();
            peer.try_send(&Message::new(OTHER, vec![7; length])).unwrap();
            let end = timeout(Duration::from_secs(30), peer.closed()).await.expect("it ends");
            let took = begun.elapsed();
            measured(18, format_args!("{length} bytes: closed after {took:.2?}, {}", end.reason));
            assert!(took <= Duration::from_secs(4), "{took:?}");
            assert!(
                matches!(end.reason, CloseReason::Io(_) | CloseReason::WriteStalled),
                "{}",
                end.reason
            );
            run("nft", "delete table inet cut");
            drop((client, peer));
        }
        nobody_is_left(tasks, descriptors).await;
    });
}

/// Waits until the number of tasks and descriptors is the same as at the start.
async fn nobody_is_left(tasks: usize, descriptors: usize) {
    let gone = async {
        while alone::tasks() > tasks || alone::descriptors() > descriptors {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let left = timeout(Duration::from_secs(10), gone).await;
    assert!(left.is_ok(), "{} tasks, {} descriptors", alone::tasks(), alone::descriptors());
}

#[test]
fn r22_a_clock_that_jumps_ends_nothing_and_keeps_nothing_alive() {
    let dir = TempDir::new();
    let clock = dir.path().join("clock");
    fs::write(&clock, "+0d").unwrap();
    let how = Alone::within(Duration::from_secs(60))
        // The environment variable would take precedence over the file, which can change.
        .under(["env", "-u", "FAKETIME"])
        .under(["faketime", "-m", "--exclude-monotonic", "-f", "+0d"])
        .set("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
        .set("FAKETIME_NO_CACHE", "1");
    alone!(how, async {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        const INTERVAL: Duration = Duration::from_millis(300);
        let clock = std::env::var("FAKETIME_TIMESTAMP_FILE").unwrap();
        let config = ServerConfig::default().heartbeat(Some(INTERVAL));
        let (hub, addr) = serve(config, Router::new().route(OTHER, || {})).await;
        let config = ClientConfig::default().addr(addr.to_string()).heartbeat(Some(INTERVAL));
        let client = Client::connect(config, Router::new()).await.unwrap();
        let unanswered = || client.request(&Message::from_text(OTHER, "?"));
        let (mut timeouts, mut longest) = (0, Duration::ZERO);
        for jump in ["+1d", "-1d", "+0d"] {
            let (begun, before) = (Instant::now(), SystemTime::now());
            let call = unanswered().timeout(2 * INTERVAL);
            let jump_meanwhile = async {
                sleep(INTERVAL / 2).await;
                fs::write(&clock, jump).unwrap();
                let now = SystemTime::now();
                let far = now.duration_since(before).unwrap_or_else(|back| back.duration());
                assert!(far > DAY / 2, "the clock jumps by {far:?}");
                let answer = client.request(&Message::from_text(ECHO, jump)).await;
                assert_eq!(answer.expect("none is given up early").text().unwrap(), jump);
            };
            let (ended, ()) = tokio::join!(call.into_future(), jump_meanwhile);
            assert!(matches!(ended, Err(RequestError::Timeout { .. })), "{ended:?}");
            let took = begun.elapsed();
            assert!((2 * INTERVAL..5 * INTERVAL).contains(&took), "{took:?}");
            timeouts += 1;
            longest = longest.max(took);
            // Heartbeats continue: no peer is closed within several heartbeat timeouts.
            sleep(4 * INTERVAL).await;
            assert!(client.is_connected());
        }
        assert_eq!(hub.count(all()), Ok(1), "it is the peer that connected first");
        measured(
            22,
            format_args!("{timeouts} of 3 timeouts, the last after {longest:.2?}, 0 others"),
        );
    });
}
