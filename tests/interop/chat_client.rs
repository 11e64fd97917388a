//! The example `chat_client`, with Python peers at the other end of the chat.

use serde_json::json;

use super::examples::{chat_client, chat_server};
use super::lab::{JOIN, MOTD, ROSTER, SAY};
use super::process::Process;
use super::python::{Core, Kind, Python};
use super::run::{cases, run};

cases!("chat_client": talks joins_python_server);

const WELCOME: &str = "Welcome! /join ROOM to change rooms.";
const NEWEST: Kind = Kind { version: "3.3.0", core: Core::Async };

async fn says(python: &mut Python, from: &str, text: &str) {
    let say = json!({ "from": from, "text": text });
    python.tell(json!({ "do": "send", "code": SAY.code(), "json": say })).await;
}

async fn enters(python: &mut Python, room: &str) {
    python.tell(json!({ "do": "request", "code": JOIN.code(), "json": { "room": room } })).await;
}

async fn pings(client: &mut Process) {
    client.write("/ping").await;
    client.find("round trip: …", |line| line.starts_with("round trip: ").then_some(())).await;
}

async fn talks(kind: Kind) {
    let (_server, port) = chat_server(0).await;
    let mut python = kind.connected(port).await;
    python.message(MOTD.code()).await;
    let mut rust = chat_client("Jörg", port);
    rust.line(WELCOME).await;

    rust.write("Grüße, 日本語 \u{1f980}").await;
    python.hears("Jörg", "Grüße, 日本語 \u{1f980}").await;
    says(&mut python, "Ännchen", "zurück \u{1f40d}").await;
    rust.line("Ännchen: zurück \u{1f40d}").await;

    enters(&mut python, "Küche").await;
    rust.write("/join Küche").await;
    rust.line("Küche: 2 here").await;
    rust.write("").await;
    rust.write("in the kitchen").await;
    python.hears("Jörg", "in the kitchen").await;
    python.heard_none(SAY.code());
    pings(&mut rust).await;

    rust.write("/quit").await;
    assert!(rust.ended().await.success());
}

async fn joins_python_server(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let mut rust = chat_client("ann", port);
    python.event("connected").await;
    python.tell(json!({ "do": "send", "index": 0, "code": MOTD.code(), "text": "moin" })).await;
    rust.line("moin").await;
    rust.write("hello").await;
    python.hears("ann", "hello").await;
    let say = json!({ "from": "the server", "text": "hello" });
    python.tell(json!({ "do": "send", "index": 0, "code": SAY.code(), "json": say })).await;
    rust.line("the server: hello").await;

    rust.write("/join den").await;
    let join = python.message(JOIN.code()).await;
    assert_eq!(join["text"], r#"{"room":"den"}"#);
    let roster = json!({ "room": "den", "members": 7 });
    let answer = json!({ "do": "send", "index": 0, "code": ROSTER.code(), "id": join["id"], "json": roster });
    python.tell(answer).await;
    rust.line("den: 7 here").await;
    pings(&mut rust).await;

    rust.write("/quit").await;
    assert!(rust.ended().await.success());
    python.event("disconnected").await;
}

#[test]
fn restart() {
    run("chat_client", "restart", NEWEST, |kind| async move {
        let (mut server, port) = chat_server(0).await;
        let mut rust = chat_client("ann", port);
        rust.line(WELCOME).await;
        rust.write("/join den").await;
        rust.line("den: 1 here").await;

        server.kill().await;
        rust.find("a new attempt", |line| line.contains("* reconnecting").then_some(())).await;
        let (_server, _) = chat_server(port).await;
        rust.line("stderr: * connected").await;
        rust.line(WELCOME).await;
        let mut python = kind.connected(port).await;
        enters(&mut python, "den").await;
        rust.write("back in the den").await;
        python.hears("ann", "back in the den").await;
        says(&mut python, "py", "me too").await;
        rust.line("py: me too").await;
    });
}

/// At the end of its input, the client sends all lines that it was given and disconnects.
#[test]
fn end_of_input() {
    run("chat_client", "end_of_input", NEWEST, |kind| async move {
        const LINES: usize = 500;
        let (_server, port) = chat_server(0).await;
        let mut python = kind.connected(port).await;
        python.message(MOTD.code()).await;
        let mut rust = chat_client("ann", port);
        for n in 0..LINES {
            rust.write(&format!("line {n}")).await;
        }
        rust.end_input();
        assert!(rust.ended().await.success());
        for n in 0..LINES {
            let say = python.message(SAY.code()).await;
            assert!(say["text"].as_str().unwrap().contains(&format!("line {n}\"")), "{say}");
        }
    });
}
