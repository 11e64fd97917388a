//! The example `cluster_chat`: a Python peer on one node and a Rust peer on another, while the third node is killed
//! and the NATS server is restarted.

use std::net::TcpListener;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::examples::{chat_client, cluster_chat};
use super::lab::MOTD;
use super::process::{PATIENCE, Process};
use super::python::{Core, Kind, Python};
use super::run::run;
use crate::support::skipped::skip;

const NEWEST: Kind = Kind { version: "3.3.0", core: Core::Async };
const WELCOME: &str = "Welcome! /join ROOM to change rooms.";

/// The limit for a notice about a user that is gone: the node's silence, and the grace of the example.
const GONE: Duration = Duration::from_secs(40);

/// Starts a NATS server, and waits until it listens. Returns `None` if the program is missing.
async fn nats_server(port: u16) -> Option<Process> {
    let there = Command::new("nats-server").arg("--version").output().await;
    if there.is_err() {
        skip("interop cluster_chat", "there is no nats-server (Debian: nats-server)");
        return None;
    }
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
    let server = Process::start("nats-server", command);
    let listens = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(PATIENCE, listens).await.is_err() {
        server.fail("does not listen");
    }
    Some(server)
}

fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Starts a Rust client, which tells its name by a first line.
async fn joins(name: &str, port: u16) -> Process {
    let mut client = chat_client(name, port);
    client.line(WELCOME).await;
    client.write("good morning").await;
    client
}

/// Asks for the list until it is this one: nodes learn of each other within seconds.
async fn lists(client: &mut Process, expected: &str) {
    loop {
        client.write("/who").await;
        let list = |line: &str| line.starts_with("* lobby: ").then(|| line.to_owned());
        if client.find("a list", list).await == expected {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Asks for the number of members until it is this one.
async fn counts(python: &mut Python, expected: u64) {
    while python.members("lobby").await != expected {
        sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_killed_node_and_a_restarted_broker() {
    run("cluster_chat", "a_killed_node_and_a_restarted_broker", NEWEST, |kind| async move {
        let port = free_port();
        let Some(mut nats) = nats_server(port).await else { return };
        let url = format!("nats://127.0.0.1:{port}");
        let (_a, a) = cluster_chat("a", &url).await;
        let (_b, b) = cluster_chat("b", &url).await;
        let (mut killed, c) = cluster_chat("c", &url).await;

        let mut python = kind.connected(a).await;
        assert_eq!(python.message(MOTD.code()).await["text"], WELCOME);
        python.says("py", "good morning").await;
        let mut ann = joins("ann", b).await;
        let mut cat = joins("cat", c).await;
        lists(&mut ann, "* lobby: ann, cat, py").await;
        counts(&mut python, 3).await;
        python.says("py", "before").await;
        ann.line("py: before").await;
        cat.line("py: before").await;
        ann.write("before").await;
        python.hears("ann", "before").await;
        cat.line("ann: before").await;

        // Both at once: the nodes cannot tell each other anything about it.
        killed.kill().await;
        nats.kill().await;
        ann.write("/who").await;
        let incomplete = |line: &str| {
            let is_it = line.starts_with("* lobby: ann (the list is incomplete: ")
                && line.ends_with("the NATS server is away)");
            is_it.then_some(())
        };
        loop {
            let list = |line: &str| line.starts_with("* lobby: ").then(|| line.to_owned());
            if incomplete(&ann.find("an incomplete list", list).await).is_some() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
            ann.write("/who").await;
        }
        // The node serves its own clients.
        let mut bob = joins("bob", b).await;
        ann.line("bob: good morning").await;

        let _nats = nats_server(port).await.unwrap();
        lists(&mut ann, "* lobby: ann, bob, py").await;
        counts(&mut python, 3).await;
        python.says("py", "after").await;
        ann.line("py: after").await;
        bob.line("py: after").await;
        ann.write("after").await;
        python.hears("ann", "after").await;
        let offline = |line: &str| (line == "* cat is offline").then_some(());
        for client in [&mut ann, &mut bob] {
            client.find_within(GONE, "cat is offline", offline).await;
            client.said_nothing("a line twice", |line| line == "py: after");
            client.said_nothing("an absence of a user who is there", |line| {
                line.ends_with(" is offline")
            });
        }
    });
}
