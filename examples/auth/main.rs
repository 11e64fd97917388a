//! Authentication and authorization. A Rust client sends its token in the handshake, and `authenticate`
//! checks it there. A Python client has no token in its handshake, so `on_connect` requests it. The session
//! is attached to the peer, and one route is for administrators only.
//!
//! Run it with `cargo run --example auth`: three clients connect, and the program ends by itself. With
//! `cargo run --example auth -- serve` it serves Rust and Python clients on `VELTIX_ADDR`, by default
//! `127.0.0.1:8080`, until Ctrl-C. `examples/auth_client.py sesame-ann` is such a client.
//!
//! Without TLS a token is sent in plain text. Therefore a client sends it over the loopback address only.
//! On a network it needs TLS, which the example `tls` shows.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

mod app;

use app::{Accounts, App, Journal, Kick, Welcome, WhoIsHere, router};
use veltix::{
    Client, ClientConfig, ConnectError, Error, HandshakeError, Msg, RequestError, Router, Server,
    ServerConfig,
};

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let accounts = Accounts::of([("sesame-ann", "ann", true), ("sesame-bob", "bob", false)]);
    let app = App { accounts, journal: Journal::default() };
    let journal = app.journal.clone();
    if std::env::args().nth(1).as_deref() == Some("serve") {
        let addr = std::env::var("VELTIX_ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
        let server = Server::bind(ServerConfig::default().addr(addr), router(app)).await?;
        println!("listening on {}", server.local_addr());
        server.run_until(veltix::stop_signal()).await?; // then drains
    } else {
        let server = Server::bind(ServerConfig::default().addr("127.0.0.1:0"), router(app)).await?;
        let (addr, hub) = (server.local_addr().to_string(), server.hub());
        let running = tokio::spawn(server.run());
        visit(&addr).await?;
        hub.shutdown().await;
        running.await.expect("the server does not panic")?;
    }
    journal.lines().iter().for_each(|line| println!("journal: {line}"));
    Ok(())
}

/// Connects three clients, one of which is refused.
async fn visit(addr: &str) -> veltix::Result<()> {
    let ann = connect(addr, "sesame-ann").await?;
    let bob = connect(addr, "sesame-bob").await?;
    match connect(addr, "guessed").await {
        Err(ConnectError::Handshake { source: HandshakeError::Refused { reason }, .. }) => {
            println!("guessed: refused, {reason}");
        }
        other => println!("guessed: {other:?}"),
    }

    // The server handles this after `on_connect` has admitted the peer.
    println!("here: {}", ann.request(&WhoIsHere).await?.users.join(", "));
    println!("bob kicks ann: {}", kick(&bob, "ann").await?);
    println!("ann kicks bob: {}", kick(&ann, "bob").await?);
    println!("bob's connection: {}", bob.peer().closed().await.reason);
    println!("here: {}", ann.request(&WhoIsHere).await?.users.join(", "));
    ann.close().await;
    Ok(())
}

async fn kick(client: &Client, user: &str) -> veltix::Result<String> {
    match client.request(&Kick { user: user.to_owned() }).await {
        Ok(kicked) => Ok(format!("done, {} connection", kicked.connections)),
        Err(RequestError::Remote(denied)) => Ok(format!("denied: {}", denied.reason)),
        Err(error) => Err(Error::from(error)),
    }
}

/// Connects a client with a token. The client prints the welcome message.
async fn connect(addr: &str, token: &'static str) -> Result<Client, ConnectError> {
    let router = Router::new()
        .on(move |Msg(welcome): Msg<Welcome>| println!("{token}: welcome, {}", welcome.user));
    // On a network, configure `tls` too.
    Client::connect(ClientConfig::default().addr(addr).token(token), router).await
}
