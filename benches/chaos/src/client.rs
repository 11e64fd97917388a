//! Clients of ours as peers: what they note down themselves, connection by connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use veltix::{CloseReason, Disconnected, Peer, Router, State};

use crate::accounts::{Entry, Seen};
use crate::order::Order;
use crate::wire::{Code, Line};

/// What clients note down, each or all together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    book: Arc<Mutex<Book>>,
    /// Something between client and server may swallow what either of them says.
    through_faults: bool,
}

#[derive(Debug, Default)]
struct Book {
    seen: Vec<Seen>,
    arrivals: Vec<Instant>,
}

/// What is noted of the connection that there is, attached to its peer.
#[derive(Debug, Default)]
struct Heard {
    id: AtomicU64,
    order: Mutex<Order>,
}

impl Notes {
    /// Of clients behind something that may swallow what is said.
    pub(crate) fn through_faults() -> Self {
        Self { through_faults: true, ..Self::default() }
    }

    /// What is known of the connections that have ended.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.book).seen)
    }

    /// Connections that have ended since their notes were taken.
    pub(crate) fn ended(&self) -> usize {
        lock(&self.book).seen.len()
    }

    /// When connections came to be.
    pub(crate) fn take_arrivals(&self) -> Vec<Instant> {
        std::mem::take(&mut lock(&self.book).arrivals)
    }

    /// Connections that came to be since then.
    pub(crate) fn arrived(&self) -> usize {
        lock(&self.book).arrivals.len()
    }

    /// The router of a client that notes down what comes.
    pub(crate) fn router(&self) -> Router {
        Router::new()
            .on_connect(arrive)
            .on_disconnect(leave)
            .route(Code::Welcome, welcome)
            .route(Code::News, news)
            .fallback(|| ())
            .with_state(self.clone())
    }
}

fn arrive(peer: Peer, State(notes): State<Notes>) {
    peer.attach(Heard::default());
    lock(&notes.book).arrivals.push(Instant::now());
}

fn welcome(peer: Peer, body: veltix::Message) {
    if let (Some(heard), Ok(id)) = (peer.attached::<Heard>(), body.body().as_ref().try_into()) {
        heard.id.store(u64::from_be_bytes(id), Ordering::Release);
    }
}

fn news(peer: Peer, message: veltix::Message) {
    if let (Some(heard), Some(line)) = (peer.attached::<Heard>(), Line::read(message.body())) {
        lock(&heard.order).take(line);
    }
}

fn leave(peer: Peer, State(notes): State<Notes>, outcome: Disconnected) {
    let heard = peer.attached::<Heard>();
    let id = heard.as_ref().map_or(0, |heard| heard.id.load(Ordering::Acquire));
    let order = heard.map(|heard| lock(&heard.order).faults()).unwrap_or_default();
    let own = Entry {
        id,
        reason: outcome.reason.to_string(),
        sent: outcome.sent.into(),
        received: outcome.received.into(),
        order,
    };
    let trusted = !notes.through_faults;
    // Without a number it cannot be told which of the server's connections it was.
    let decoded = if id == 0 { 0 } else { own.received.received };
    lock(&notes.book).seen.push(Seen {
        id,
        decoded,
        sent: own.sent.written,
        heard_all: trusted && outcome.reason == CloseReason::PeerClosed,
        said_all: trusted && outcome.reason == CloseReason::Closed,
        order,
        own: Some(own),
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
