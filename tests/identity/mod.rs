//! Identity of peers: the server's hook, the identity in handlers, and a client's token.

mod handlers;
mod hook;
mod take_over;
mod token;

use std::time::Duration;

use tokio::time::timeout;
use veltix::{
    Client, ClientConfig, ConnectError, Event, EventStream, HandshakeFailure, HandshakeInfo,
    Refuse, Router,
};

use crate::support::{World, until};

/// The token that is accepted.
const SECRET: &str = "swordfish";

#[derive(Debug, PartialEq)]
struct User {
    name: String,
}

async fn authenticate(info: HandshakeInfo) -> Result<User, Refuse> {
    match info.require_token()?.is(SECRET) {
        true => Ok(User { name: "ann".to_owned() }),
        false => Err(Refuse::new("the token is wrong")),
    }
}

fn known() -> ClientConfig {
    ClientConfig::default().token(SECRET)
}

/// Returns the error of a client that is refused.
async fn refused(world: &World, config: ClientConfig) -> ConnectError {
    let connecting = Client::connect_with(world.connector.clone(), config, Router::new());
    let connected = timeout(Duration::from_secs(60), connecting).await.expect("in time");
    connected.expect_err("it is refused")
}

/// Returns the next failed handshake.
async fn failure(events: &mut EventStream) -> HandshakeFailure {
    let failed = |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    };
    until(events, failed).await
}
