//! Who gets in, and who may do what: a Rust client shows its token in the handshake, where
//! `authenticate` judges it; a Python client has none there, so `on_connect` asks it. The session is
//! attached to the peer, and one route is for admins only.
//!
//! Run it with `cargo run --example auth`: three clients try it, and it ends by itself. With
//! `cargo run --example auth -- serve` it serves on `VELTIX_ADDR`, by default `127.0.0.1:8080`, until
//! Ctrl-C, for Rust and Python clients alike: `examples/auth_client.py sesame-ann` is one.
//!
//! A token travels as it is: without TLS, which the example `tls` has, only where nobody listens on
//! the way. That is why `allow_plaintext_token` must be called.

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

/// Three clients, one of which does not get in.
async fn visit(addr: &str) -> veltix::Result<()> {
    let ann = connect(addr, "sesame-ann").await?;
    let bob = connect(addr, "sesame-bob").await?;
    match connect(addr, "guessed").await {
        Err(ConnectError::Handshake { source: HandshakeError::Refused { reason }, .. }) => {
            println!("guessed: refused, {reason}");
        }
        other => println!("guessed: {other:?}"),
    }

    // Handled once `on_connect` has let the peer in, so the answer is never a stranger's.
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

/// A client that shows its token, and says when it is welcome.
async fn connect(addr: &str, token: &'static str) -> Result<Client, ConnectError> {
    let router = Router::new()
        .on(move |Msg(welcome): Msg<Welcome>| println!("{token}: welcome, {}", welcome.user));
    // Over loopback alone; anywhere else the config has `tls` instead.
    let config = ClientConfig::default().addr(addr).token(token).allow_plaintext_token();
    Client::connect(config, router).await
}
