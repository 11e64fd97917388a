//! The records of the server under test about its connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use veltix::{Disconnected, Peer};

use crate::accounts::Entry;
use crate::order::Order;
use crate::wire::Line;

/// The number of wrong entries that are kept for the report.
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
    /// Whether the next entry must be wrong.
    lies: bool,
}

/// The order of one peer's messages, which is attached to the peer.
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

    /// Records the end of a connection.
    pub(super) fn close(&self, peer: &Peer, outcome: &Disconnected) {
        let mut entry = entry(peer, outcome.reason.to_string());
        entry.sent = outcome.sent.into();
        entry.received = outcome.received.into();
        let mut book = lock(&self.book);
        book.ended += 1;
        if std::mem::take(&mut book.lies) {
            // Every peer knows the number of its sent messages, also one that does not see the end.
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

    /// Returns the entries since the last call.
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

/// Returns the present counters of a connection.
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

/// Returns the number of a peer for the peer itself, which is never 0.
pub(super) fn number(peer: &Peer) -> u64 {
    peer.id().value() + 1
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
