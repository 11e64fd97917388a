//! Python clients of the example `chat_server`: the contract of the chat.

use serde_json::{Value, json};
use tokio::process::Command;

use super::env::{self, VERSIONS};
use super::examples::{chat_client, chat_server};
use super::lab::{JOIN, MOTD, ROSTER, SAY, soon};
use super::process::Process;
use super::python::{Core, Kind, Python};
use super::run::{cases, run_with, run_with_all};
use crate::support::repository;

cases!("chat_server": relay rooms);

const WELCOME: &str = "Welcome! /join ROOM to change rooms.";

/// A chat that Python clients can join.
struct Chat {
    server: Process,
    port: u16,
}

impl Chat {
    async fn new() -> Self {
        let (server, port) = chat_server(0).await;
        Self { server, port }
    }

    /// Connects a client and waits for its greeting, so that it is in the lobby.
    async fn join(&self, kind: Kind) -> Python {
        let mut python = kind.connected(self.port).await;
        assert_eq!(python.message(MOTD.code()).await["text"], WELCOME);
        python
    }
}

impl Python {
    pub(super) async fn says(&mut self, from: &str, text: &str) {
        let say = json!({ "from": from, "text": text });
        self.tell(json!({ "do": "send", "code": SAY.code(), "json": say })).await;
    }

    /// Moves to a room, and checks the number of members.
    async fn enters(&mut self, room: &str, members: u64) {
        assert_eq!(self.members(room).await, members);
    }

    /// Moves to a room, and returns its number of members.
    pub(super) async fn members(&mut self, room: &str) -> u64 {
        let join = json!({ "do": "request", "code": JOIN.code(), "json": { "room": room } });
        let reply = self.tell(join).await["reply"].clone();
        assert_eq!(reply["code"], ROSTER.code());
        let roster: Value = serde_json::from_str(reply["text"].as_str().unwrap()).unwrap();
        assert_eq!(roster["room"], room);
        roster["members"].as_u64().unwrap()
    }

    /// Checks that a client has received nothing until now: the answer to its call would arrive
    /// after it.
    async fn heard_nothing_yet(&mut self) {
        self.tell(json!({ "do": "ping" })).await;
        self.heard_none(SAY.code());
    }
}

async fn relay(kind: Kind) {
    const TEXT: &str = "Grüße an alle: 日本語 \u{1f980}";
    let chat = Chat::new().await;
    let mut ann = chat.join(kind).await;
    let mut bob = chat.join(kind).await;
    let mut cy = chat.join(kind).await;

    ann.says("Ännchen", TEXT).await;
    bob.hears("Ännchen", TEXT).await;
    cy.hears("Ännchen", TEXT).await;
    bob.says("bob", "hello").await;
    ann.hears("bob", "hello").await;
    cy.hears("bob", "hello").await;
    // A client does not receive its own messages.
    ann.heard_nothing_yet().await;
    bob.heard_nothing_yet().await;

    // A code that the chat does not know, and a body of another format, have no effect on others.
    ann.tell(json!({ "do": "send", "code": 300, "text": "?" })).await;
    ann.tell(json!({ "do": "send", "code": JOIN.code(), "text": "not JSON" })).await;
    ann.says("ann", "still here").await;
    bob.hears("ann", "still here").await;
}

async fn rooms(kind: Kind) {
    let chat = Chat::new().await;
    let mut ann = chat.join(kind).await;
    let mut bob = chat.join(kind).await;
    let mut cy = chat.join(kind).await;

    ann.enters("Küche", 1).await;
    bob.enters("Küche", 2).await;
    ann.says("ann", "in the kitchen").await;
    bob.hears("ann", "in the kitchen").await;
    cy.heard_nothing_yet().await;
    cy.says("cy", "alone in the lobby").await;
    cy.enters("lobby", 1).await;
    ann.heard_nothing_yet().await;

    // A client that moves or disconnects is no longer counted.
    bob.enters("lobby", 2).await;
    bob.says("bob", "back").await;
    cy.hears("bob", "back").await;
    ann.heard_nothing_yet().await;
    ann.process.kill().await;
    soon("a roster without ann", async { while cy.members("Küche").await != 1 {} }).await;
}

/// The example's own Python peer reads the notices of the server between the lines of other peers.
#[test]
fn chat_peer() {
    run_with("3.3.0", "chat_server", "chat_peer", async {
        let chat = Chat::new().await;
        let script = repository().join("examples/chat_peer.py");
        let mut command = Command::new(env::python("3.3.0").unwrap());
        command.args(["-B", "-u"]).arg(script).args(["bob", &chat.port.to_string()]);
        let mut bob = Process::start("chat_peer.py", command);
        bob.line(WELCOME).await;
        let mut ann = chat_client("ann", chat.port);
        let joined = |line: &str| line.ends_with(" has joined lobby").then_some(());
        bob.find("ann has joined", joined).await;
        ann.write("hello").await;
        bob.line("ann: hello").await;
        bob.write("hello, ann").await;
        ann.line("bob: hello, ann").await;
        ann.write("/quit").await;
        let left = |line: &str| {
            (line.starts_with("* ann (peer ") && line.ends_with(" has left lobby")).then_some(())
        };
        bob.find("ann has left", left).await;
        bob.end_input();
        assert!(bob.ended().await.success());
        bob.said_nothing("a colour", |line| line.contains('\u{1b}'));
    });
}

/// All versions in one room, until the server shuts down.
#[test]
fn everyone() {
    run_with_all("chat_server", "everyone", async {
        let mut chat = Chat::new().await;
        let kinds = VERSIONS
            .iter()
            .flat_map(|version| [Core::Async, Core::Threading].map(|core| Kind { version, core }));
        let mut all = Vec::new();
        for kind in kinds {
            all.push((kind.to_string(), chat.join(kind).await));
        }
        for speaker in 0..all.len() {
            let name = all[speaker].0.clone();
            all[speaker].1.says(&name, "hello").await;
            for (listener, (_, python)) in all.iter_mut().enumerate() {
                if listener != speaker {
                    python.hears(&name, "hello").await;
                }
            }
        }
        chat.server.interrupt().await;
        for (_, python) in &mut all {
            python.event("disconnected").await;
        }
        assert!(chat.server.ended().await.success());
    });
}
