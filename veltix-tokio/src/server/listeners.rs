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

/// The next event of the listeners.
pub(super) enum Incoming<'a> {
    /// A connection, and the entrance of its listener.
    Stream(Stream, &'a Arc<Entrance>),
    /// A listener has failed for good and is not listed any more.
    Failed(FailedListener),
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

    /// Waits for the next connection or the final failure of a listener.
    ///
    /// # Cancel safety
    /// Cancel safe: no connection is lost.
    pub(super) async fn next(&mut self, slots: &Slots) -> Incoming<'_> {
        let (at, accepted) = poll_fn(|cx| self.poll_next(slots, cx)).await;
        match accepted {
            Ok(stream) => Incoming::Stream(stream, &self.all[at].entrance),
            Err(error) => {
                let ListenerState { addr, label, .. } = self.all.remove(at);
                self.note_failing(slots);
                Incoming::Failed(FailedListener { addr, label, error })
            }
        }
    }

    fn poll_next(
        &mut self,
        slots: &Slots,
        cx: &mut Context<'_>,
    ) -> Poll<(usize, io::Result<Stream>)> {
        let count = self.all.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            loop {
                let listener = &mut self.all[at];
                match listener.poll_accept(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(stream)) => {
                        if listener.backoff.reset() {
                            slots.set_accept_failing(false);
                        }
                        self.turn = at + 1;
                        return Poll::Ready((at, Ok(stream)));
                    }
                    Poll::Ready(Err(AcceptError::Final(error))) => {
                        self.turn = at;
                        return Poll::Ready((at, Err(error)));
                    }
                    Poll::Ready(Err(AcceptError::Temporary(error))) => {
                        listener.pause(&error);
                        self.note_failing(slots);
                    }
                }
            }
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
