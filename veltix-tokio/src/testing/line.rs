//! One connection of a link; the health of the link decides which operations its halves allow.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use super::link::Health;
use crate::sync::Mutex;
use crate::transport::{Stream, StreamWriter, memory_pair_of};

/// The number of bytes that each direction buffers, like the buffers of a socket.
const CAPACITY: usize = 64 * 1024;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// The state that the four halves of a connection share.
#[derive(Default)]
pub(super) struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    health: Health,
    /// The wakers of the halves, which are woken when the health changes: those of the client, then
    /// those of the server; for each the reader, then the writer.
    waiting: [Option<Waker>; 4],
    /// Readers that were dropped while the link was frozen: the other end must not notice even
    /// that.
    kept: Vec<Reader>,
}

impl Line {
    /// Creates a connection of this number. Returns the client's end and the server's end.
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

    /// Sets the health. A cut line stays cut.
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

    /// Returns the health, and registers the waker for its next change.
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
    /// Only `drop` takes it.
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
            // While the link is frozen, the buffers still take bytes as far as they have room.
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
