//! Calls in both directions: the client asks the server for a price, and the server asks the
//! client back, from inside the handler, in which currency.
//!
//! Run it with `cargo run --example request_reply`.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use veltix::{Client, ClientConfig, Message, Peer, Router, Server, ServerConfig, Text};

#[veltix::message]
enum Shop {
    /// What does it cost? Answered by a `Price`.
    Ask = 200,
    Price = 201,
    /// In which currency? Asked by the server, answered by text.
    Currency = 202,
}

#[derive(Debug, Serialize, Deserialize)]
struct Price {
    item: String,
    price: String,
}

/// Awaits the very peer that it serves: answers bypass the handlers, so this cannot deadlock.
async fn price(peer: Peer, Text(item): Text) -> veltix::Result<Message> {
    let question = Message::empty(Shop::Currency);
    let currency = peer.request(&question).timeout(Duration::from_secs(1)).await?;
    let price = format!("42 {}", currency.text()?);
    Ok(Message::from_json(Shop::Price, &Price { item, price })?)
}

#[tokio::main]
async fn main() -> veltix::Result<()> {
    let router = Router::new().route(Shop::Ask, price);
    let server = Server::bind(ServerConfig::default().addr("127.0.0.1:0"), router).await?;
    let (addr, hub) = (server.local_addr().to_string(), server.hub());
    let running = tokio::spawn(server.run());

    let router = Router::new().route(Shop::Currency, async || "EUR");
    let client = Client::connect(ClientConfig::default().addr(addr), router).await?;
    let question = Message::from_text(Shop::Ask, "towel");
    let answer: Price = client.request(&question).expect(Shop::Price).await?.json()?;
    println!("{}: {}", answer.item, answer.price);
    println!("round trip: {:?}", client.ping().await?);

    client.close().await;
    hub.shutdown().await;
    running.await.expect("the server does not panic")?;
    Ok(())
}
