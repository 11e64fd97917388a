//! Streams inside the process. They have the same halves as TCP's, so that tests run the production
//! path with a paused clock. The pipe is bounded, so that backpressure is real.

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

/// The number of connections that may wait to be accepted, as in a socket's backlog.
const BACKLOG: usize = 1_024;

/// Creates a listener and a connector that reach each other inside the process. Each connection
/// buffers at most `capacity` bytes in each direction, as a socket would.
#[must_use]
pub fn memory(capacity: usize) -> (MemoryListener, MemoryConnector) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let connector = MemoryConnector { sender, capacity, numbers: Arc::default() };
    (MemoryListener { receiver }, connector)
}

/// Creates two streams, each of which reads the bytes that the other writes.
#[must_use]
pub fn memory_pair(capacity: usize) -> (Stream, Stream) {
    memory_pair_of(capacity, 0)
}

/// Creates the two streams of the connection with this number.
pub(crate) fn memory_pair_of(capacity: usize, number: u64) -> (Stream, Stream) {
    let (there, back) = (Arc::new(Pipe::new(capacity)), Arc::new(Pipe::new(capacity)));
    let stream = |reads: &Arc<Pipe>, writes: &Arc<Pipe>| {
        Stream::local(
            PipeReader(Arc::clone(reads)),
            PipeWriter(Arc::clone(writes)),
            PeerAddr::Memory(number),
        )
    };
    (stream(&back, &there), stream(&there, &back))
}

/// Accepts the connections of a [`MemoryConnector`].
#[derive(Debug)]
pub struct MemoryListener {
    receiver: mpsc::Receiver<Stream>,
}

impl Listener for MemoryListener {
    async fn accept(&mut self) -> io::Result<Stream> {
        match self.receiver.recv().await {
            Some(stream) => Ok(stream),
            // Every connector was dropped, so no connection can come any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(0)
    }
}

/// Connects to a [`MemoryListener`]. A clone connects to the same listener.
#[derive(Clone, Debug)]
pub struct MemoryConnector {
    sender: mpsc::Sender<Stream>,
    capacity: usize,
    numbers: Arc<AtomicU64>,
}

impl MemoryConnector {
    /// Opens a connection without a client, for tests that need the raw bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] if the listener was dropped.
    pub async fn stream(&self) -> io::Result<Stream> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        let (ours, theirs) = memory_pair_of(self.capacity, number);
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
    /// The writer has ended the stream or was dropped.
    ended: bool,
    /// The reader was dropped: writes fail, as on a socket that was reset.
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

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    type Reader = Box<dyn AsyncRead + Send + Unpin>;
    type Writer = Box<dyn StreamWriter>;

    /// Returns the two ends of one direction of a connection.
    fn pipe(capacity: usize) -> (Writer, Reader) {
        let (ours, theirs) = memory_pair(capacity);
        (ours.into_parts().1, theirs.into_parts().0)
    }

    fn write(writer: &mut Writer, slices: &[&[u8]]) -> Result<usize, io::ErrorKind> {
        let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
        writer.try_write_vectored(&slices).map_err(|error| error.kind())
    }

    async fn read(reader: &mut Reader, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).await.expect("this length was written");
        bytes
    }

    /// Waits until the stream accepts bytes or fails.
    async fn writable(mut writer: Writer) -> Writer {
        poll_fn(|cx| writer.poll_write_ready(cx)).await.expect("a write reports the error");
        writer
    }

    #[tokio::test]
    async fn bytes_come_in_order_around_the_ring() {
        let (mut writer, mut reader) = pipe(5);
        for round in 0..20u8 {
            let bytes = [round, 1, 2, 3];
            assert_eq!(write(&mut writer, &[&bytes[..1], &[], &bytes[1..]]), Ok(4));
            assert_eq!(read(&mut reader, 4).await, bytes);
        }
    }

    #[tokio::test]
    async fn the_directions_are_apart() {
        let (ours, theirs) = memory_pair(8);
        let ((mut our_reader, mut our_writer), (mut their_reader, mut their_writer)) =
            (ours.into_parts(), theirs.into_parts());
        assert_eq!(write(&mut our_writer, &[b"there"]), Ok(5));
        assert_eq!(write(&mut their_writer, &[b"back"]), Ok(4));
        assert_eq!(read(&mut our_reader, 4).await, b"back");
        assert_eq!(read(&mut their_reader, 5).await, b"there");
    }

    #[tokio::test]
    async fn a_full_pipe_blocks_until_it_is_read() {
        let (mut writer, mut reader) = pipe(5);
        assert_eq!(write(&mut writer, &[b"abc", b"defg"]), Ok(5), "what fits");
        assert_eq!(write(&mut writer, &[b"fg"]), Err(io::ErrorKind::WouldBlock));
        let waiting = tokio::spawn(writable(writer));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(read(&mut reader, 2).await, b"ab");
        let mut writer = waiting.await.expect("it was woken");
        assert_eq!(write(&mut writer, &[b"fg"]), Ok(2));
        assert_eq!(read(&mut reader, 5).await, b"cdefg");
    }

    #[tokio::test]
    async fn an_empty_pipe_is_waited_for() {
        let (mut writer, mut reader) = pipe(5);
        let waiting = tokio::spawn(async move { read(&mut reader, 2).await });
        tokio::task::yield_now().await;
        assert_eq!(write(&mut writer, &[b"ab"]), Ok(2));
        assert_eq!(waiting.await.expect("it was woken"), b"ab");
    }

    #[tokio::test]
    async fn what_was_written_before_the_end_is_read() {
        let ends: [fn(Writer) -> Option<Writer>; 2] = [
            |mut writer| {
                let cx = &mut Context::from_waker(Waker::noop());
                assert!(writer.poll_shutdown(cx).is_ready());
                assert_eq!(write(&mut writer, &[b"more"]), Err(io::ErrorKind::BrokenPipe));
                Some(writer)
            },
            |writer| {
                drop(writer);
                None
            },
        ];
        for end in ends {
            let (mut writer, mut reader) = pipe(8);
            assert_eq!(write(&mut writer, &[b"last"]), Ok(4));
            let _writer = end(writer);
            let mut all = Vec::new();
            assert_eq!(reader.read_to_end(&mut all).await.expect("the end"), 4);
            assert_eq!(all, b"last");
        }
    }

    #[tokio::test]
    async fn the_end_wakes_who_reads() {
        let (writer, mut reader) = pipe(8);
        let waiting = tokio::spawn(async move { reader.read_u8().await });
        tokio::task::yield_now().await;
        drop(writer);
        let error = waiting.await.expect("it was woken").expect_err("nothing came");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_gone_reader_breaks_the_pipe() {
        let (mut writer, reader) = pipe(3);
        assert_eq!(write(&mut writer, &[b"abc"]), Ok(3));
        let waiting = tokio::spawn(writable(writer));
        tokio::task::yield_now().await;
        drop(reader);
        let mut writer = waiting.await.expect("it was woken");
        assert_eq!(write(&mut writer, &[b"d"]), Err(io::ErrorKind::BrokenPipe));
    }

    #[tokio::test]
    async fn each_connection_reaches_the_listener_and_has_a_number() {
        let (mut listener, connector) = memory(8);
        for number in 1..=3 {
            let (_, mut writer) =
                connector.clone().connect().await.expect("it listens").into_parts();
            let accepted = listener.accept().await.expect("it was connected");
            assert_eq!(*accepted.addr(), PeerAddr::Memory(number));
            let (mut reader, _) = accepted.into_parts();
            assert_eq!(write(&mut writer, &[b"hi"]), Ok(2));
            assert_eq!(read(&mut reader, 2).await, b"hi");
        }
    }

    #[tokio::test]
    async fn a_gone_listener_refuses_and_ends_those_who_wait() {
        let (listener, connector) = memory(8);
        let (mut reader, _writer) = connector.stream().await.expect("it listens").into_parts();
        drop(listener);
        assert!(reader.read_u8().await.is_err(), "it was never accepted");
        let error = connector.stream().await.expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_listener_without_connectors_waits() {
        let (mut listener, connector) = memory(8);
        drop(connector);
        assert!(listener.accept().now_or_never().is_none());
    }
}
