//! TLS: who is accepted and who is not, what becomes of streams that somebody meddles with, and
//! certificates that change meanwhile.
//!
//! That everything else works as without it is what the conformance tests say.

mod config;
mod handlers;
mod identity;
mod r05_tampering;
mod r14_stall;
mod r43_rotation;
mod r44_refusals;
mod reconnect;
mod stream;

use veltix::tls::{ClientTls, ServerTls};
use veltix::{Client, ClientConfig, ConnectError, Message, Router, ServerConfig};

use crate::support::{ECHO, PIPE, World};

/// A server in memory with this TLS, which sends back what ECHO brings.
fn world(tls: &ServerTls) -> World {
    let router = Router::new().route(ECHO, |message: Message| message);
    World::with(ServerConfig::default().tls(tls.clone()), PIPE, router)
}

async fn connect(world: &World, tls: &ClientTls) -> Result<Client, ConnectError> {
    let config = ClientConfig::default().tls(tls.clone());
    Client::connect_with(world.connector.clone(), config, Router::new()).await
}
