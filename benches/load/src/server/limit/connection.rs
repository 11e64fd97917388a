//! The task of a connection.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

use super::Rooms;
use super::frames::{Batch, Damaged, frame_len};
use super::room::Member;
use super::tls::{Keys, Unread};

const SCRATCH: usize = 256 * 1024;

/// The buffers of a thread, for the connection that it runs.
struct Scratch {
    bytes: Vec<u8>,
    batch: Batch,
}

thread_local! {
    static THREAD: RefCell<Scratch> =
        RefCell::new(Scratch { bytes: vec![0; SCRATCH], batch: Batch::default() });
}

/// A connection after its handshake.
pub(super) struct Connection {
    reader: Reader,
    member: Arc<Member>,
    rooms: Arc<Rooms>,
    tagged: bool,
    partial: Partial,
}

/// The reading half of a connection.
pub(super) struct Reader {
    socket: OwnedReadHalf,
    /// The undecrypted bytes of a connection over TLS.
    unread: Unread,
}

/// The beginning of an incomplete frame.
#[derive(Default)]
struct Partial {
    /// Longer than `filled` only for a frame that does not fit into the scratch buffer. It is then
    /// as long as the frame, which is read directly into it.
    bytes: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Makes a connection. `read` holds bytes that were received together with the handshake.
    pub(super) fn new(
        reader: Reader,
        member: Member,
        read: &[u8],
        rooms: Arc<Rooms>,
    ) -> io::Result<Self> {
        let member = Arc::new(member);
        rooms.all.enter(&member);
        let partial = Partial::default();
        let mut connection = Self { reader, member, rooms, tagged: false, partial };
        let mut batch = Batch::default();
        let used = batch.take(read).map_err(damaged)?;
        connection.partial.keep(&read[used..]);
        connection.handle(&batch);
        Ok(connection)
    }

    /// Reads once and executes the requests.
    fn poll_turn(&mut self, cx: &mut Context<'_>, thread: &mut Scratch) -> Poll<io::Result<()>> {
        let Scratch { bytes: scratch, batch } = thread;
        let Self { reader, partial, member, .. } = self;
        let keys = member.keys();
        batch.clear();
        match frame_len(&partial.bytes[..partial.filled]).map_err(damaged)? {
            Some(length) if length > SCRATCH => {
                partial.bytes.resize(length, 0);
                let filled = partial.filled;
                partial.filled += ready!(reader.poll_read(keys, &mut partial.bytes[filled..], cx))?;
                if batch.take(&partial.bytes[..partial.filled]).map_err(damaged)? > 0 {
                    // The buffer stays for the next large frame.
                    partial.filled = 0;
                }
            }
            _ => {
                scratch[..partial.filled].copy_from_slice(&partial.bytes[..partial.filled]);
                let rest = &mut scratch[partial.filled..];
                let filled = partial.filled + ready!(reader.poll_read(keys, rest, cx))?;
                let used = batch.take(&scratch[..filled]).map_err(damaged)?;
                partial.keep(&scratch[used..filled]);
            }
        }
        self.handle(batch);
        Poll::Ready(Ok(()))
    }

    fn handle(&mut self, batch: &Batch) {
        if batch.joins && !self.tagged {
            self.tagged = true;
            self.rooms.tagged.enter(&self.member);
        }
        if !batch.answers.is_empty() {
            self.member.send(&batch.answers);
        }
        if !batch.publishes.is_empty() {
            self.rooms.all.send(&batch.publishes, &self.member);
        }
        if !batch.tagged.is_empty() {
            self.rooms.tagged.send(&batch.tagged, &self.member);
        }
    }
}

impl Partial {
    /// Keeps a copy of the rest of a read. An empty rest needs no memory.
    fn keep(&mut self, rest: &[u8]) {
        self.filled = rest.len();
        if rest.is_empty() {
            if self.bytes.capacity() <= SCRATCH {
                self.bytes = Vec::new();
            }
        } else if rest.len() <= self.bytes.len() {
            self.bytes[..rest.len()].copy_from_slice(rest);
        } else {
            self.bytes.clear();
            self.bytes.extend_from_slice(rest);
        }
    }
}

impl Reader {
    pub(super) fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, unread: Unread::default() }
    }

    /// Reads once and returns the number of bytes. The end of the stream is an error.
    pub(super) fn poll_read(
        &mut self,
        keys: Option<&Keys>,
        into: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(match keys {
            None => Pin::new(&mut self.socket).poll_read(cx, &mut buffer),
            Some(keys) => self.unread.poll_read(keys, &mut self.socket, &mut buffer, cx),
        })?;
        match buffer.filled().len() {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            read => Poll::Ready(Ok(read)),
        }
    }
}

fn damaged(_: Damaged) -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.member.owner.register(cx.waker());
        loop {
            // A peer that does not read its answers is not read from.
            match self.member.flush() {
                Ok(true) => {}
                Ok(false) => match self.member.socket().poll_write_ready(cx) {
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                },
                Err(_) => return Poll::Ready(()),
            }
            let read = THREAD.with_borrow_mut(|thread| self.poll_turn(cx, thread));
            match read {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.member.close();
        self.rooms.all.leave(&self.member);
        if self.tagged {
            self.rooms.tagged.leave(&self.member);
        }
    }
}
