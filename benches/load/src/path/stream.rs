//! Streams in memory that cost next to nothing, so that a case counts the instructions of the
//! server.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use veltix::transport::{Listener, PeerAddr, Stream, StreamWriter};
use veltix::{Hub, all};

/// The bytes of the block that is read again and again. The read buffer of a server is smaller.
const BLOCK: usize = 256 * 1024;

/// The bytes that are copied at once. From 2 KiB on, the C library may copy by one instruction, and
/// valgrind then counts each byte.
const PIECE: usize = 2_000;

/// One frame, repeated, and then the end of the stream. A read may end inside a frame.
#[derive(Debug)]
pub(super) struct Frames {
    block: Vec<u8>,
    at: usize,
    left: usize,
    /// The largest read. If it is limited, each read is followed by one that is not ready, as from
    /// a socket.
    per_read: usize,
    pauses: bool,
}

impl Frames {
    pub(super) fn new(frame: &[u8], count: usize, per_read: usize) -> Self {
        let block = frame.repeat(BLOCK / frame.len());
        Self { block, at: 0, left: frame.len() * count, per_read, pauses: false }
    }

    /// Reads once. An empty read is the end of the stream.
    pub(super) fn read(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = self.block.len() - self.at;
        let length = rest.min(self.left).min(self.per_read).min(buffer.remaining());
        for piece in self.block[self.at..self.at + length].chunks(PIECE) {
            buffer.put_slice(piece);
        }
        self.left -= length;
        self.at = if length == rest { 0 } else { self.at + length };
    }
}

/// The reading half of a connection: its part of the handshake, and then frames or nothing.
struct Source {
    hello: Vec<u8>,
    frames: Option<Frames>,
    gate: Arc<Gate>,
}

/// The sender waits here until all receivers are listed.
#[derive(Debug)]
pub(super) struct Gate {
    hub: OnceLock<Hub>,
    /// The number of peers, including the sender.
    peers: usize,
    is_open: AtomicBool,
    /// Whether the sender has given its last frame.
    is_over: AtomicBool,
    /// The bytes that the server has written since the gate opened.
    written: AtomicU64,
}

impl Gate {
    /// Makes a gate that opens when this number of peers is listed.
    pub(super) const fn new(peers: usize) -> Self {
        Self {
            hub: OnceLock::new(),
            peers,
            is_open: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            written: AtomicU64::new(0),
        }
    }

    /// Sets the hub that lists the peers.
    pub(super) fn watch(&self, hub: Hub) {
        self.hub.get_or_init(|| hub);
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed) || {
            let listed = self.hub.get().map_or(Ok(0), |hub| hub.count(all()));
            let is_open = listed == Ok(self.peers);
            self.is_open.store(is_open, Ordering::Relaxed);
            is_open
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.hello.is_empty() {
            buffer.put_slice(&std::mem::take(&mut self.hello));
            return Poll::Ready(Ok(()));
        }
        let Self { frames: Some(frames), gate, .. } = &mut *self else {
            // The stream ends when the server closes it. Otherwise the server would wait for its
            // end.
            let is_over = self.gate.is_over.load(Ordering::Relaxed);
            return if is_over { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        if !gate.is_open() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if frames.pauses {
            frames.pauses = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        frames.read(buffer);
        frames.pauses = frames.per_read < usize::MAX;
        if frames.left == 0 {
            gate.is_over.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns the client's part of the handshake: that of a Python peer. The server sends nothing but
/// messages to such a peer, not even a notice of its shutdown.
fn hello() -> Vec<u8> {
    const HELLO: &[u8] = br#"{"v": "3.3.0", "pv": "1.0", "meta": {}}"#;
    [&(HELLO.len() as u16).to_be_bytes()[..], HELLO].concat()
}

/// Accepts all bytes and counts them.
struct Counter(Arc<Gate>);

impl StreamWriter for Counter {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.0.is_open.load(Ordering::Relaxed) {
            // There is only one thread, so no other write comes between the two operations.
            let before = self.0.written.load(Ordering::Relaxed);
            self.0.written.store(before + length as u64, Ordering::Relaxed);
        }
        Ok(length)
    }

    fn poll_write_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Gives `silent` silent connections, and the sender as the last one.
pub(super) struct Connections {
    gate: Arc<Gate>,
    silent: usize,
    frames: Option<Frames>,
}

impl Connections {
    pub(super) const fn new(gate: Arc<Gate>, silent: usize, frames: Frames) -> Self {
        Self { gate, silent, frames: Some(frames) }
    }

    fn stream(&self, frames: Option<Frames>) -> Stream {
        let source = Source { hello: hello(), frames, gate: Arc::clone(&self.gate) };
        Stream::new(source, Counter(Arc::clone(&self.gate)), PeerAddr::Memory(1))
    }
}

impl Listener for Connections {
    async fn accept(&mut self) -> io::Result<Stream> {
        if self.silent > 0 {
            self.silent -= 1;
            return Ok(self.stream(None));
        }
        match self.frames.take() {
            Some(frames) => Ok(self.stream(Some(frames))),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns all bytes that reads of this size give, and the number of reads.
    fn read_all(mut frames: Frames, size: usize) -> (Vec<u8>, usize) {
        let (mut all, mut buffer) = (Vec::new(), vec![0; size]);
        for reads in 0.. {
            let mut buffer = ReadBuf::new(&mut buffer);
            frames.read(&mut buffer);
            if buffer.filled().is_empty() {
                return (all, reads);
            }
            all.extend_from_slice(buffer.filled());
        }
        unreachable!("it ends")
    }

    #[test]
    fn the_frames_are_whole_however_they_are_read() {
        let frame: Vec<_> = (0..79).collect();
        for (count, per_read, size) in
            [(9, usize::MAX, 10), (9_999, usize::MAX, 65_536), (20, 79, 4_096)]
        {
            let (all, reads) = read_all(Frames::new(&frame, count, per_read), size);
            assert_eq!(all, frame.repeat(count));
            if per_read == frame.len() {
                assert_eq!(reads, count, "one frame a read");
            }
        }
    }
}
