//! The handlers of the server under test.

use std::future::pending;
use std::panic::panic_any;
use std::time::Duration;

use veltix::handler::Handler;
use veltix::{Disconnected, Message, Peer, Router, SendError, State, TagError};

use super::ledger::{Incoming, Ledger, number};
use crate::wire::{Code, Line};

/// The time limit of a handler that hangs only briefly.
const BRIEFLY: Duration = Duration::from_millis(500);

/// The tag of every peer that asks for tags. The second tag of each peer is its own.
pub(super) const TAG: &str = "churn";

/// The payload of a deliberate panic, which is not printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnPurpose;

pub(super) fn router(ledger: Ledger) -> Router {
    Router::new()
        .on_connect(welcome)
        .on_disconnect(goodbye)
        .route(Code::Echo, echo)
        .route(Code::Sink, sink)
        .route(Code::Panic, || -> () { panic_any(OnPurpose) })
        .route_blocking(Code::PanicBlocking, || -> () { panic_any(OnPurpose) })
        .route_blocking(Code::EchoBlocking, |message: Message| message)
        .route(Code::Hang, pending::<()>)
        .route(Code::HangBriefly, pending::<()>.timeout(BRIEFLY))
        .route(Code::Tag, tags)
        .with_state(ledger)
}

/// Sends the number of the connection before any other message.
fn welcome(peer: Peer) -> Result<(), SendError> {
    peer.attach(Incoming::default());
    peer.try_send(&Message::new(Code::Welcome, number(&peer).to_be_bytes().to_vec()))
}

fn goodbye(peer: Peer, State(ledger): State<Ledger>, outcome: Disconnected) {
    ledger.close(&peer, &outcome);
}

fn echo(peer: Peer, message: Message) -> Message {
    take(&peer, message.body());
    message
}

fn sink(peer: Peer, body: &[u8]) {
    take(&peer, body);
}

fn take(peer: &Peer, body: &[u8]) {
    if body.len() >= Line::LEN
        && let Some(incoming) = peer.attached::<Incoming>()
    {
        incoming.take(body);
    }
}

fn tags(peer: Peer) -> Result<Vec<u8>, TagError> {
    peer.add_tag(TAG)?;
    peer.add_tag(("number", number(&peer) as i64))?;
    Ok(Vec::new())
}
