//! [`Listeners`]: the listeners of a server, which accept in turns.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep};

use super::accepting::{AcceptError, Accepting};
use super::backoff::AcceptBackoff;
use super::entrance::Entrance;
use crate::admission::Slots;
use crate::transport::{PeerAddr, Stream};

/// The listeners of a server. After each connection the next listener is asked first, so a listener
/// with many waiting connections delays no other one.
#[derive(Default)]
pub(super) struct Listeners {
    all: Vec<ListenerState>,
    /// The number of the listener that is asked first.
    turn: usize,
    /// The number of the listener that accepted the last connection.
    last: usize,
}

/// A listener and the state of its accepts.
pub(super) struct ListenerState {
    accepting: Box<dyn Accepting>,
    addr: PeerAddr,
    label: Option<Arc<str>>,
    entrance: Arc<Entrance>,
    backoff: AcceptBackoff,
    /// The pause after a failed accept.
    pause: Option<Pin<Box<Sleep>>>,
}

/// A listener that accepts no connection any more.
pub(super) struct FailedListener {
    pub(super) addr: PeerAddr,
    pub(super) label: Option<Arc<str>>,
    pub(super) error: io::Error,
}

impl Listeners {
    pub(super) fn push(&mut self, listener: ListenerState) {
        self.all.push(listener);
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the entrance of the last connection.
    pub(super) fn entrance(&self) -> &Arc<Entrance> {
        &self.all[self.last].entrance
    }

    /// Waits for the next connection, or the final failure of a listener, which is then not listed
    /// any more.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub(super) fn next(
        &mut self,
        slots: &Slots,
    ) -> impl Future<Output = Result<Stream, Box<FailedListener>>> {
        poll_fn(|cx| self.poll_next(slots, cx))
    }

    fn poll_next(
        &mut self,
        slots: &Slots,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, Box<FailedListener>>> {
        let mut at = self.turn;
        for _ in 0..self.all.len() {
            if at >= self.all.len() {
                at = 0;
            }
            while let Poll::Ready(accepted) = self.all[at].poll_accept(cx) {
                match accepted {
                    Ok(stream) => {
                        if self.all[at].backoff.reset() {
                            slots.set_accept_failing(false);
                        }
                        (self.last, self.turn) = (at, at + 1);
                        return Poll::Ready(Ok(stream));
                    }
                    Err(AcceptError::Temporary(error)) => self.all[at].pause(&error),
                    Err(AcceptError::Final(error)) => {
                        let ListenerState { addr, label, .. } = self.all.remove(at);
                        self.note_failing(slots);
                        self.turn = at;
                        return Poll::Ready(Err(Box::new(FailedListener { addr, label, error })));
                    }
                }
                self.note_failing(slots);
            }
            at += 1;
        }
        Poll::Pending
    }

    /// Notes whether all listeners fail, so that no connection is accepted.
    fn note_failing(&self, slots: &Slots) {
        slots.set_accept_failing(self.all.iter().all(|listener| listener.backoff.is_failing()));
    }
}

impl ListenerState {
    pub(super) fn new(
        accepting: Box<dyn Accepting>,
        addr: PeerAddr,
        label: Option<Arc<str>>,
        entrance: Arc<Entrance>,
    ) -> Self {
        let backoff = AcceptBackoff::default();
        Self { accepting, addr, label, entrance, backoff, pause: None }
    }

    /// Waits for the pause after a failed accept, and then for the next connection.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, AcceptError>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.accepting.poll_accept(cx)
    }

    fn pause(&mut self, error: &io::Error) {
        let pause = self.backoff.next(&self.addr, error);
        self.pause = Some(Box::pin(sleep(pause)));
    }
}
