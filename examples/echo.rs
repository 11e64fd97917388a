//! The smallest server and client: an echo.
//!
//! Run it with `cargo run --example echo`.

#![allow(clippy::print_stdout, reason = "it talks to a person")]

use veltix::{Client, ClientConfig, Message, Router, Server, ServerConfig};

#[veltix::message]
enum App {
    Echo = 200,
}

#[tokio::main]
async fn main() -> veltix::Result<()> {
    // The return value of a handler is the reply. It has the code of the request.
    let router = Router::new().route(App::Echo, async |message: Message| message);
    let server = Server::bind(ServerConfig::default().addr("127.0.0.1:0"), router).await?;
    let (addr, hub) = (server.local_addr().to_string(), server.hub());
    let running = tokio::spawn(server.run());

    let client = Client::connect(ClientConfig::default().addr(addr), Router::new()).await?;
    let reply = client.request(&Message::from_text(App::Echo, "hello")).await?;
    println!("{}", reply.text()?);

    client.close().await;
    hub.shutdown().await;
    running.await.expect("the server does not panic")?;
    Ok(())
}
