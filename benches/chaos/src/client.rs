//! Clients of Veltix as peers. They record the counters of each connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use veltix::{CloseReason, Disconnected, Peer, Router, State};

use crate::accounts::{Entry, Seen};
use crate::order::Order;
use crate::wire::{Code, Line};

/// The records of one or several clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    book: Arc<Mutex<Book>>,
    /// Whether something between client and server may lose bytes.
    through_faults: bool,
}

#[derive(Debug, Default)]
struct Book {
    seen: Vec<Seen>,
    arrivals: Vec<Instant>,
}

/// The record of the current connection, which is attached to its peer.
#[derive(Debug, Default)]
struct Record {
    id: AtomicU64,
    order: Mutex<Order>,
}

impl Notes {
    /// Makes records of clients behind something that may lose bytes.
    pub(crate) fn through_faults() -> Self {
        Self { through_faults: true, ..Self::default() }
    }

    /// Returns the observations of the connections that have ended.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.book).seen)
    }

    /// Returns the number of connections that have ended since the observations were taken.
    pub(crate) fn ended(&self) -> usize {
        lock(&self.book).seen.len()
    }

    /// Returns the times at which connections were made.
    pub(crate) fn take_arrivals(&self) -> Vec<Instant> {
        std::mem::take(&mut lock(&self.book).arrivals)
    }

    /// Returns the number of connections that were made since the times were taken.
    pub(crate) fn arrived(&self) -> usize {
        lock(&self.book).arrivals.len()
    }

    /// Returns the router of a client that records its messages.
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
    peer.attach(Record::default());
    lock(&notes.book).arrivals.push(Instant::now());
}

fn welcome(peer: Peer, body: veltix::Message) {
    if let (Some(record), Ok(id)) = (peer.attached::<Record>(), body.body().as_ref().try_into()) {
        record.id.store(u64::from_be_bytes(id), Ordering::Release);
    }
}

fn news(peer: Peer, message: veltix::Message) {
    if let (Some(record), Some(line)) = (peer.attached::<Record>(), Line::read(message.body())) {
        lock(&record.order).take(line);
    }
}

fn leave(peer: Peer, State(notes): State<Notes>, outcome: Disconnected) {
    let record = peer.attached::<Record>();
    let id = record.as_ref().map_or(0, |record| record.id.load(Ordering::Acquire));
    let order = record.map(|record| lock(&record.order).faults()).unwrap_or_default();
    let own = Entry {
        id,
        reason: outcome.reason.to_string(),
        sent: outcome.sent.into(),
        received: outcome.received.into(),
        order,
    };
    let trusted = !notes.through_faults;
    // Without a number, the connection cannot be matched with one of the server's.
    let decoded = if id == 0 { 0 } else { own.received.received };
    lock(&notes.book).seen.push(Seen {
        id,
        decoded,
        sent: own.sent.written,
        read_all: trusted && outcome.reason == CloseReason::PeerClosed,
        sent_all: trusted && outcome.reason == CloseReason::Closed,
        order,
        own: Some(own),
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
