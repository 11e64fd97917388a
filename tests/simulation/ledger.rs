//! What the application at both ends of each connection did and saw.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use veltix::transport::PeerAddr;
use veltix::{Disconnected, Peer};

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The number of a peer's connection, the same on both sides.
pub(super) fn line_of(peer: &Peer) -> u64 {
    match peer.addr() {
        PeerAddr::Memory(number) => *number,
        addr => panic!("{addr} is not simulated"),
    }
}

/// A clone is the same ledger.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    last_number: u64,
    calls: Calls,
    /// Handlers that run now, on servers.
    handlers: usize,
    books: BTreeMap<(u64, Side), Book>,
}

/// Calls that were begun, and their ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) begun: u64,
    pub(super) ended: u64,
}

/// What one end of a connection did and saw.
#[derive(Clone, Default)]
pub(super) struct Book {
    /// The other end.
    pub(super) peer: Option<Peer>,
    /// The numbers of what the library took on to send, in their order, and whether it surely did:
    /// a broadcast that was dropped for some does not say for whom.
    pub(super) accepted: Vec<(u64, bool)>,
    /// The numbers of what handlers were given, in their order.
    pub(super) handled: Vec<u64>,
    /// Whether `on_connect` has returned, and let the peer in.
    pub(super) welcomed: Option<bool>,
    /// What `on_disconnect` was told, each time.
    pub(super) left: Vec<Disconnected>,
    /// This side ended it, or began to drain.
    pub(super) closed_here: bool,
    /// The future of the server's `run` was dropped.
    pub(super) aborted: bool,
}

/// A handler that runs, until it is dropped.
pub(super) struct Running(Option<Ledger>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(ledger) = &self.0 {
            ledger.lock().handlers -= 1;
        }
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    /// A number that no other message has.
    pub(super) fn number(&self) -> u64 {
        let mut state = self.lock();
        state.last_number += 1;
        state.last_number
    }

    /// Writes into a book.
    pub(super) fn book<R>(&self, peer: &Peer, side: Side, write: impl FnOnce(&mut Book) -> R) -> R {
        write(self.lock().books.entry((line_of(peer), side)).or_default())
    }

    /// Something was taken on.
    pub(super) fn accepted(&self, peer: &Peer, side: Side, number: u64, surely: bool) {
        self.book(peer, side, |book| book.accepted.push((number, surely)));
    }

    /// A handler runs until the guard is dropped.
    pub(super) fn running(&self, side: Side) -> Running {
        let counts = side == Side::Server;
        self.lock().handlers += usize::from(counts);
        Running(counts.then(|| self.clone()))
    }

    /// Handlers that run on servers.
    pub(super) fn handlers(&self) -> usize {
        self.lock().handlers
    }

    /// A call begins, and ends however the guard is dropped.
    pub(super) fn call(&self) -> impl Drop + Send + use<> {
        struct Call(Ledger);
        impl Drop for Call {
            fn drop(&mut self) {
                self.0.lock().calls.ended += 1;
            }
        }
        self.lock().calls.begun += 1;
        Call(self.clone())
    }

    pub(super) fn calls(&self) -> Calls {
        self.lock().calls
    }

    /// This side ends its connections, all of them that there are.
    pub(super) fn closing_all(&self, side: Side) {
        for ((_, of), book) in &mut self.lock().books {
            book.closed_here |= *of == side && book.left.is_empty();
        }
    }

    /// The server is about to be dropped, and all of its connections with it.
    pub(super) fn aborting(&self) {
        self.closing_all(Side::Server);
        for ((_, side), book) in &mut self.lock().books {
            book.aborted |= *side == Side::Server && book.left.is_empty();
        }
    }

    /// The ends of the connections that are not over, each with its other end.
    pub(super) fn open(&self) -> Vec<(u64, Side, Peer)> {
        let state = self.lock();
        let books = state.books.iter();
        let open = books.filter_map(|((line, side), book)| {
            let peer = book.peer.clone().filter(|peer| !peer.is_closed())?;
            Some((*line, *side, peer))
        });
        open.collect()
    }

    pub(super) fn books(&self) -> BTreeMap<(u64, Side), Book> {
        self.lock().books.clone()
    }
}
