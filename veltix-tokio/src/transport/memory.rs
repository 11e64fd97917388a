//! Streams inside the process: the same halves as TCP's, so that tests run the production path
//! on a paused clock, and a bounded pipe, so that backpressure is real.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use super::{Connector, Listener, PeerAddr, Stream, StreamWriter};
use crate::sync::Mutex;

/// Connections that may wait to be accepted, as a socket's backlog.
const BACKLOG: usize = 1_024;

/// A listener and a connector that reach each other inside the process. Each connection holds at
/// most `capacity` bytes in each direction, as a socket's buffers would.
#[must_use]
pub fn memory(capacity: usize) -> (MemoryListener, MemoryConnector) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let connector = MemoryConnector { sender, capacity, numbers: Arc::default() };
    (MemoryListener { receiver }, connector)
}

/// Two streams, each of which reads what the other writes.
#[must_use]
pub fn memory_pair(capacity: usize) -> (Stream, Stream) {
    pair(capacity, 0)
}

fn pair(capacity: usize, number: u64) -> (Stream, Stream) {
    let (there, back) = (Arc::new(Pipe::new(capacity)), Arc::new(Pipe::new(capacity)));
    let stream = |reads: &Arc<Pipe>, writes: &Arc<Pipe>| {
        Stream::new(
            PipeReader(Arc::clone(reads)),
            PipeWriter(Arc::clone(writes)),
            PeerAddr::Memory(number),
        )
    };
    (stream(&back, &there), stream(&there, &back))
}

/// Accepts what a [`MemoryConnector`] connects.
#[derive(Debug)]
pub struct MemoryListener {
    receiver: mpsc::Receiver<Stream>,
}

impl Listener for MemoryListener {
    async fn accept(&mut self) -> io::Result<Stream> {
        match self.receiver.recv().await {
            Some(stream) => Ok(stream),
            // Every connector is gone, so nobody can come any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(0)
    }
}

/// Connects to a [`MemoryListener`]. A clone connects to the same.
#[derive(Clone, Debug)]
pub struct MemoryConnector {
    sender: mpsc::Sender<Stream>,
    capacity: usize,
    numbers: Arc<AtomicU64>,
}

impl MemoryConnector {
    /// Makes a connection without a client on it: the raw bytes of one, for tests.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] when the listener is gone.
    pub async fn stream(&self) -> io::Result<Stream> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (ours, theirs) = pair(self.capacity, number);
        let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
        self.sender.send(theirs).await.map_err(refused)?;
        Ok(ours)
    }
}

impl Connector for MemoryConnector {
    async fn connect(&self) -> io::Result<Stream> {
        self.stream().await
    }

    fn target(&self) -> String {
        "memory".to_owned()
    }
}

/// One direction of a connection.
#[derive(Debug)]
struct Pipe {
    capacity: usize,
    state: Mutex<PipeState>,
}

#[derive(Debug, Default)]
struct PipeState {
    bytes: VecDeque<u8>,
    /// The writer has said its last word, or is gone.
    ended: bool,
    /// The reader is gone: writes fail, as on a socket that was reset.
    broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    fn end(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.ended = true;
            state.reader.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct PipeReader(Arc<Pipe>);

impl AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let waker = {
            let mut state = self.0.state.lock();
            if state.bytes.is_empty() {
                if state.ended {
                    return Poll::Ready(Ok(()));
                }
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let (front, back) = state.bytes.as_slices();
            let first = front.len().min(buffer.remaining());
            buffer.put_slice(&front[..first]);
            let second = back.len().min(buffer.remaining());
            buffer.put_slice(&back[..second]);
            state.bytes.drain(..first + second);
            state.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.state.lock();
            state.broken = true;
            state.bytes = VecDeque::new();
            state.writer.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct PipeWriter(Arc<Pipe>);

impl StreamWriter for PipeWriter {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let (written, waker) = {
            let mut state = self.0.state.lock();
            if state.broken || state.ended {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let mut room = self.0.capacity.saturating_sub(state.bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let before = room;
            for slice in slices {
                let take = slice.len().min(room);
                state.bytes.extend(&slice[..take]);
                room -= take;
            }
            (before - room, state.reader.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(written)
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state.lock();
        if state.broken || state.bytes.len() < self.0.capacity {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.end();
    }
}
