//! Records of the application's actions and observations at both ends of each connection.

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

/// Returns the connection number of a peer, which is the same on both sides.
pub(super) fn line_of(peer: &Peer) -> u64 {
    match peer.addr() {
        PeerAddr::Memory(number) => *number,
        addr => panic!("{addr} is not simulated"),
    }
}

/// A clone is a handle of the same ledger.
#[derive(Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    last_number: u64,
    calls: Calls,
    /// The number of handlers that run on servers now.
    handlers: usize,
    books: BTreeMap<(u64, Side), Book>,
}

/// The numbers of calls that have begun and completed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) begun: u64,
    pub(super) ended: u64,
}

/// The actions and observations of one end of a connection.
#[derive(Clone, Default)]
pub(super) struct Book {
    /// The other end.
    pub(super) peer: Option<Peer>,
    /// The numbers of the messages that the library accepted, in order, each with a flag that is
    /// true if acceptance is certain: a broadcast that was dropped for some peers does not report
    /// for which.
    pub(super) accepted: Vec<(u64, bool)>,
    /// The numbers of the messages that handlers received, in order.
    pub(super) handled: Vec<u64>,
    /// True if `on_connect` has returned and admitted the peer.
    pub(super) welcomed: Option<bool>,
    /// The arguments of each call of `on_disconnect`.
    pub(super) left: Vec<Disconnected>,
    /// True if this side ended the connection or began to drain.
    pub(super) closed_here: bool,
    /// True if the future of the server's `run` was dropped.
    pub(super) aborted: bool,
}

/// A guard of a running handler.
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

    /// Returns a number that no other message has.
    pub(super) fn number(&self) -> u64 {
        let mut state = self.lock();
        state.last_number += 1;
        state.last_number
    }

    /// Changes the entry of one end.
    pub(super) fn book<R>(&self, peer: &Peer, side: Side, write: impl FnOnce(&mut Book) -> R) -> R {
        write(self.lock().books.entry((line_of(peer), side)).or_default())
    }

    /// Records that a message was accepted.
    pub(super) fn accepted(&self, peer: &Peer, side: Side, number: u64, surely: bool) {
        self.book(peer, side, |book| book.accepted.push((number, surely)));
    }

    /// Records that a handler runs until the guard is dropped.
    pub(super) fn running(&self, side: Side) -> Running {
        let counts = side == Side::Server;
        self.lock().handlers += usize::from(counts);
        Running(counts.then(|| self.clone()))
    }

    /// Returns the number of handlers that run on servers.
    pub(super) fn handlers(&self) -> usize {
        self.lock().handlers
    }

    /// Records that a call begins. It completes when the guard is dropped.
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

    /// Records that this side ends all of its current connections.
    pub(super) fn closing_all(&self, side: Side) {
        for ((_, of), book) in &mut self.lock().books {
            book.closed_here |= *of == side && book.left.is_empty();
        }
    }

    /// Records that the server is about to be dropped with all of its connections.
    pub(super) fn aborting(&self) {
        self.closing_all(Side::Server);
        for ((_, side), book) in &mut self.lock().books {
            book.aborted |= *side == Side::Server && book.left.is_empty();
        }
    }

    /// Returns the ends of the open connections, each with its other end.
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
