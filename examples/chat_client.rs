//! A chat client for `chat_server`.
//!
//! Run it with `cargo run --example chat_client NAME [ADDR]`, by default against `127.0.0.1:8080`.
//! It sends each line of standard input to its room, unless the line is a command: `/join ROOM` changes the
//! room and prints the number of its members, `/who` lists them, `/ping` prints the round-trip time, `/help` lists
//! the commands, `/quit` leaves. It survives a restart of the server, and rejoins its room then.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

#[path = "chat/messages.rs"]
mod messages;

use std::io::BufRead;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use veltix::{Client, ClientConfig, ClientStatus, Msg, Peer, Reconnect, Router, State};

use messages::{Join, Motd, Say};

const COMMANDS: &str = "\
commands: /join ROOM  changes rooms
          /who        lists the members of your room
          /ping       measures the round trip
          /help       lists the commands
          /quit       leaves
Every other line goes to everyone else in your room.";

/// The room to go back to when the connection is a new one.
type Room = Arc<Mutex<Option<String>>>;

async fn heard(Msg(Say { from, text }): Msg<Say>) {
    println!("{from}: {text}");
}

async fn motd(Msg(Motd(text)): Msg<Motd>) {
    println!("{text}");
}

/// Runs for the first connection and after each reconnect.
async fn rejoin(peer: Peer, State(room): State<Room>) -> veltix::Result<()> {
    let room = room.lock().expect("no holder panics").clone();
    if let Some(room) = room {
        peer.request(&Join { room }).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        eprintln!("usage: chat_client NAME [ADDR]");
        std::process::exit(2);
    };
    let addr = args.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());

    let room = Room::default();
    let router = Router::new().on_connect(rejoin).on(heard).on(motd).with_state(Arc::clone(&room));
    // A person waits at the keyboard, so the pauses between attempts stay short.
    let short = (Duration::from_millis(200), Duration::from_secs(2));
    let reconnect = Reconnect::backoff().windows(short.0, short.1);
    let config = ClientConfig::default().addr(addr).reconnect(reconnect);
    let client = Client::connect(config, router).await?;

    println!("{COMMANDS}");
    let mut lines = input();
    let mut status = client.status();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            Ok(()) = status.changed() => {
                let status = status.borrow_and_update().clone();
                match status {
                    ClientStatus::Connected => eprintln!("* connected"),
                    ClientStatus::Reconnecting { attempt } => eprintln!("* reconnecting ({attempt})"),
                    other => eprintln!("* {other:?}"),
                }
                continue;
            }
        };
        let Some(line) = line else { break };
        if line.trim() == "/quit" {
            break;
        }
        if let Err(error) = command(&client, &name, &room, line.trim()).await {
            eprintln!("* {error}");
        }
    }
    // Writes what is queued before it leaves.
    client.close().await;
    Ok(())
}

async fn command(client: &Client, name: &str, room: &Room, line: &str) -> veltix::Result<()> {
    if line.is_empty() {
        return Ok(());
    }
    // The server answers this line with a list.
    if !line.starts_with('/') || line == "/who" {
        client.send(&Say { from: name.to_owned(), text: line.to_owned() }).await?;
        return Ok(());
    }
    match line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim())) {
        ("/ping", "") => println!("round trip: {:?}", client.ping().await?),
        ("/help", "") => println!("{COMMANDS}"),
        ("/join", to) if !to.is_empty() => {
            let roster = client.request(&Join { room: to.to_owned() }).await?;
            println!("{}: {} here", roster.room, roster.members);
            *room.lock().expect("no holder panics") = Some(roster.room);
        }
        ("/join", _) => eprintln!("* usage: /join ROOM"),
        (word @ ("/ping" | "/who" | "/help"), _) => eprintln!("* {word} takes no argument"),
        (word, _) => eprintln!("* there is no command {word:?}: /help lists the commands"),
    }
    Ok(())
}

/// Standard input, line by line. A thread of its own reads it: a pending read of Tokio's would
/// keep the program from ending.
fn input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
