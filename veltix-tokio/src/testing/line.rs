//! One connection of a link, whose halves do what the link's health lets them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use super::link::Health;
use crate::sync::Mutex;
use crate::transport::{Stream, StreamWriter, memory_pair_of};

/// Bytes that each direction holds, as a socket's buffers would.
const CAPACITY: usize = 64 * 1024;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// What the four halves of a connection share.
#[derive(Default)]
pub(super) struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    health: Health,
    /// Who waits for a half, to be woken when the health changes: those of the client, then those
    /// of the server; of each, who reads and who writes.
    waiting: [Option<Waker>; 4],
    /// Readers that were dropped while nothing passed: not even that may be noticed.
    kept: Vec<Reader>,
}

impl Line {
    /// A connection of this number: the client's end and the server's.
    pub(super) fn connect(number: u64) -> (Arc<Self>, Stream, Stream) {
        let line = Arc::new(Self::default());
        let (ours, theirs) = memory_pair_of(CAPACITY, number);
        let (ours, theirs) = (line.gate(ours, 0), line.gate(theirs, 2));
        (line, ours, theirs)
    }

    fn gate(self: &Arc<Self>, stream: Stream, place: usize) -> Stream {
        let addr = stream.addr().clone();
        let (reader, writer) = stream.into_parts();
        let reader = GatedReader { line: Arc::clone(self), place, inner: Some(reader) };
        let writer = GatedWriter { line: Arc::clone(self), place: place + 1, inner: writer };
        Stream::local(reader, writer, addr)
    }

    /// A cut line stays so.
    pub(super) fn set(&self, health: Health) {
        let (waiting, kept) = {
            let mut state = self.0.lock();
            if state.health == Health::Cut {
                return;
            }
            state.health = health;
            (std::mem::take(&mut state.waiting), std::mem::take(&mut state.kept))
        };
        drop(kept);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    fn health(&self) -> Health {
        self.0.lock().health
    }

    /// The health, and the promise to wake when it changes.
    fn look(&self, place: usize, cx: &Context<'_>) -> Health {
        let mut state = self.0.lock();
        state.waiting[place] = Some(cx.waker().clone());
        state.health
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

struct GatedReader {
    line: Arc<Line>,
    place: usize,
    /// Only taken by `drop`.
    inner: Option<Reader>,
}

impl AsyncRead for GatedReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match (self.line.look(self.place, cx), &mut self.inner) {
            (Health::Up, Some(inner)) => Pin::new(inner).poll_read(cx, buffer),
            (Health::Frozen, _) => Poll::Pending,
            (Health::Cut, _) | (_, None) => Poll::Ready(Err(reset())),
        }
    }
}

impl Drop for GatedReader {
    fn drop(&mut self) {
        let mut state = self.line.0.lock();
        if state.health == Health::Frozen {
            state.kept.extend(self.inner.take());
        }
    }
}

struct GatedWriter {
    line: Arc<Line>,
    place: usize,
    inner: Box<dyn StreamWriter>,
}

impl StreamWriter for GatedWriter {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.line.health() {
            Health::Cut => Err(reset()),
            // While nothing passes, the buffers still take what they have room for.
            Health::Up | Health::Frozen => self.inner.try_write_vectored(slices),
        }
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.line.look(self.place, cx) {
            Health::Cut => Poll::Ready(Err(reset())),
            Health::Up | Health::Frozen => self.inner.poll_write_ready(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.line.health() {
            Health::Cut => Poll::Ready(Err(reset())),
            Health::Up | Health::Frozen => self.inner.poll_shutdown(cx),
        }
    }
}
