//! Calls in both directions: the client requests a price, and the handler of the server requests the
//! currency from the client.
//!
//! Run it with `cargo run --example request_reply`.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use std::time::Duration;

use veltix::{Client, ClientConfig, Msg, Peer, Router, Server, ServerConfig};

#[veltix::message]
enum Shop {
    /// Requests the price of an item.
    #[message(code = 200, reply = Price)]
    Ask { item: String },
    #[message(code = 201)]
    Price { item: String, price: String },
    /// Requests the currency. The server sends it.
    #[message(code = 202, reply = Currency)]
    WhichCurrency,
    #[message(code = 203, text)]
    Currency(String),
}

/// Calls the peer that it serves. This cannot deadlock, because replies bypass the handlers.
async fn price(peer: Peer, Msg(Ask { item }): Msg<Ask>) -> veltix::Result<Price> {
    let question = peer.request(&WhichCurrency).timeout(Duration::from_secs(1));
    let Currency(currency) = question.await?;
    Ok(Price { item, price: format!("42 {currency}") })
}

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let router = Router::new().on(price);
    let server = Server::bind(ServerConfig::default().addr("127.0.0.1:0"), router).await?;
    let (addr, hub) = (server.local_addr().to_string(), server.hub());
    let running = tokio::spawn(server.run());

    let router = Router::new().on(async |_: Msg<WhichCurrency>| Currency("EUR".to_owned()));
    let client = Client::connect(ClientConfig::default().addr(addr), router).await?;
    let Price { item, price } = client.request(&Ask { item: "towel".to_owned() }).await?;
    println!("{item}: {price}");
    println!("round trip: {:?}", client.ping().await?);

    client.close().await;
    hub.shutdown().await;
    running.await.expect("the server does not panic")?;
    Ok(())
}
