//! What the server under test writes down of its connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use veltix::{Disconnected, Peer};

use crate::accounts::Entry;
use crate::order::Order;
use crate::wire::Line;

/// Broken entries that are kept to be shown.
const SHOWN: usize = 5;

/// The connections that have ended.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    book: Arc<Mutex<Book>>,
    keeps_entries: bool,
}

#[derive(Debug, Default)]
struct Book {
    ended: u64,
    broken: Vec<String>,
    entries: Vec<Entry>,
    /// The next entry is to be wrong.
    lies: bool,
}

/// The order of what one peer sent, attached to it.
#[derive(Debug, Default)]
pub(super) struct Incoming(Mutex<Order>);

impl Incoming {
    pub(super) fn take(&self, body: &[u8]) {
        if let Some(line) = Line::read(body) {
            lock(&self.0).take(line);
        }
    }
}

impl Ledger {
    pub(super) fn new(keeps_entries: bool, lies: bool) -> Self {
        let book = Book { lies, ..Book::default() };
        Self { book: Arc::new(Mutex::new(book)), keeps_entries }
    }

    /// A connection has ended.
    pub(super) fn close(&self, peer: &Peer, outcome: &Disconnected) {
        let mut entry = entry(peer, outcome.reason.to_string());
        entry.sent = outcome.sent.into();
        entry.received = outcome.received.into();
        let mut book = lock(&self.book);
        book.ended += 1;
        if std::mem::take(&mut book.lies) {
            // Of what it sent each peer knows, also one that does not hear the end.
            entry.received.received += 1;
            entry.received.handled += 1;
        }
        if let Some(broken) = entry.broken()
            && book.broken.len() < SHOWN
        {
            book.broken.push(broken);
        }
        if self.keeps_entries {
            book.entries.push(entry);
        }
    }

    /// The entries since the last time.
    pub(super) fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut lock(&self.book).entries)
    }

    pub(super) fn ended(&self) -> u64 {
        lock(&self.book).ended
    }

    pub(super) fn broken(&self) -> Vec<String> {
        lock(&self.book).broken.clone()
    }
}

/// How a connection stands.
pub(super) fn entry(peer: &Peer, reason: String) -> Entry {
    let stats = peer.stats();
    let order = peer.attached::<Incoming>().map(|incoming| lock(&incoming.0).faults());
    Entry {
        id: number(peer),
        reason,
        sent: stats.sent.into(),
        received: stats.received.into(),
        order: order.unwrap_or_default(),
    }
}

/// What a peer is told as its number: never 0.
pub(super) fn number(peer: &Peer) -> u64 {
    peer.id().value() + 1
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
