//! Tags and targets: rooms, levels and muted peers. A watch, a survey, and operations that tag and close
//! many peers at once.
//!
//! Run it with `cargo run --example rooms`. Four clients follow a script, and the program ends by itself.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

mod app;

use app::{
    Announce, Ballot, Enter, Follow, Heard, Mute, Post, Say, Vote, audience, name, room, router,
    vote,
};
use veltix::presence::{Member, Watch, WatchEvent};
use veltix::{Client, ClientConfig, Hub, Msg, Router, Server, ServerConfig, tag};

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let server = Server::bind(ServerConfig::default().addr("127.0.0.1:0"), router()).await?;
    let (addr, hub) = (server.local_addr().to_string(), server.hub());
    let watching =
        tokio::spawn(print_members(hub.watch(room("lobby")).with_tags(["name"]).start()?));
    let running = tokio::spawn(server.run());

    act(&hub, &addr).await?;

    let report = hub.shutdown().await;
    println!("* the server has shut down and closed {} connections", report.connections);
    running.await.expect("the server does not panic")?;
    watching.await.expect("the watch does not panic");
    Ok(())
}

/// Runs the script.
async fn act(hub: &Hub, addr: &str) -> veltix::Result<()> {
    let ann = enter(addr, "ann", "lobby", 7, true).await?;
    let bob = enter(addr, "bob", "lobby", 3, true).await?;
    let cat = enter(addr, "cat", "lobby", 5, false).await?;
    let dan = enter(addr, "dan", "hall", 9, true).await?;

    let everyone = [&ann, &bob, &cat, &dan];

    println!("\n- To a room except for one peer and the muted ones: `&`, `!`, `.except`");
    cat.send(&Mute).await?;
    arrived(&everyone).await?;
    let passed = ann.request(&Say { text: "hello, lobby".into() }).await?;
    arrived(&everyone).await?;
    println!("ann is heard by {} of {} in the lobby", passed.to, hub.count(room("lobby"))?);

    println!("\n- To two rooms, from level 8 on or to the staff: `.any_of`, `.at_least`, `|`");
    hub.tag(tag("name").is("ann"), "staff")?;
    let rooms = vec!["lobby".into(), "hall".into()];
    let text = "a meeting for those who know their way".to_owned();
    let passed = bob.request(&Announce { rooms, level: 8, text }).await?;
    arrived(&everyone).await?;
    println!("bob is heard by {}", passed.to);

    println!("\n- To the peers that follow a topic, among many: `peer.join`, `.is`");
    for topic in ["tea", "cake"] {
        cat.send(&Follow { topic: topic.into() }).await?;
    }
    dan.send(&Follow { topic: "cake".into() }).await?;
    arrived(&everyone).await?;
    let post = Post { topic: "cake".into(), text: "there is cake".into() };
    println!("ann is heard by {}", ann.request(&post).await?.to);
    arrived(&everyone).await?;

    println!("\n- A tag for many peers at once: `hub.tag(target, tag)`");
    let newcomers = room("lobby") & tag("level").below(5);
    println!("{newcomers} matches {}", hub.count(&newcomers)?);
    println!("raised to level 5: {}", hub.tag(&newcomers, ("level", 5))?);
    println!("afterwards it matches {}", hub.count(&newcomers)?);

    println!("\n- A survey with a quorum: `hub.to(room).request(&question)?.quorum(n)`");
    for (place, quorum) in [("lobby", 3), ("hall", 2)] {
        match vote(hub, place, "more tea?", quorum).await? {
            Some(yes) => println!("of {quorum} in the {place}, {yes} want more tea"),
            None => println!("in the {place} there are no {quorum} to ask"),
        }
    }

    println!("\n- The target finds a peer in its new room: `hub.list(target)`");
    bob.request(&Enter { name: "bob".into(), room: "hall".into(), level: 5 }).await?;
    let mut there: Vec<_> = hub.list(audience("hall"))?.iter().map(name).collect();
    there.sort();
    println!("listening in the hall: {}", there.join(", "));

    println!("\n- The end of a room: `hub.close(target, reason)`");
    let closed = hub.close(room("lobby"), "the lobby closes at eight")?;
    println!("{closed} connections closed. Their clients see:");
    for (name, client) in [("ann", ann), ("cat", cat)] {
        println!("  {name}: {}", client.peer().closed().await.reason);
    }
    // The events of the server have the reason of the same end: `CloseReason::ClosedFor`.

    bob.close().await;
    Ok(())
}

/// Waits until each client has received the messages that the server has sent so far: the answer to a
/// ping follows them.
async fn arrived(clients: &[&Client]) -> veltix::Result<()> {
    for client in clients {
        client.ping().await?;
    }
    Ok(())
}

/// Connects a client that enters a room, prints received lines and gives the same vote each time.
async fn enter(
    addr: &str,
    name: &'static str,
    room: &str,
    level: u32,
    yes: bool,
) -> veltix::Result<Client> {
    let router = Router::new()
        .on(move |Msg(heard): Msg<Heard>| println!("  {name} hears {}: {}", heard.from, heard.text))
        .on(move |Msg(_): Msg<Vote>| Ballot { yes });
    let client = Client::connect(ClientConfig::default().addr(addr), router).await?;
    let roster = client.request(&Enter { name: name.into(), room: room.into(), level }).await?;
    println!("  {name} is in the {} with: {}", roster.room, roster.names.join(", "));
    Ok(client)
}

/// Prints the peers that enter and leave, until the server has ended.
async fn print_members(mut lobby: Watch) {
    let name = |member: &Member| match member.tag("name") {
        Some(name) => name.as_str().unwrap_or_default().to_owned(),
        None => String::new(),
    };
    while let Some(event) = lobby.next().await {
        match event {
            // At the start, and each time this loop has fallen behind.
            WatchEvent::Reset(members) => println!("* {} in the lobby", members.len()),
            WatchEvent::Entered(member) => println!("* {} enters the lobby", name(&member)),
            // The peer may be gone, but the watch has the tags that it asked for.
            WatchEvent::Left(member) => println!("* {} leaves the lobby", name(&member)),
            _ => {}
        }
    }
}
