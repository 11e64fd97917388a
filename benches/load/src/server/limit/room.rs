//! The sockets that a broadcast is written to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::task::AtomicWaker;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use super::tls::Keys;

/// The bytes that may wait for one socket. With more, its connection ends.
const BACKLOG: usize = 16 * 1024 * 1024;

/// The writing half of a connection.
pub(super) struct Member {
    writer: OwnedWriteHalf,
    /// The keys of a connection over TLS. Waiting bytes are encrypted already.
    keys: Option<Keys>,
    backlog: Mutex<Backlog>,
    /// The waker of the connection's own task, which alone waits for its socket.
    pub(super) owner: AtomicWaker,
}

/// The bytes that a socket has not accepted.
#[derive(Default)]
struct Backlog {
    bytes: Vec<u8>,
    over: bool,
}

impl Member {
    pub(super) fn new(writer: OwnedWriteHalf, keys: Option<Keys>) -> Self {
        Self { writer, keys, backlog: Mutex::default(), owner: AtomicWaker::new() }
    }

    /// Writes the bytes at once. The connection's own task writes the bytes that the socket does
    /// not accept.
    pub(super) fn send(&self, bytes: &[u8]) {
        // The lock is held during the write, so that the bytes of two writers do not mix.
        let mut backlog = lock(&self.backlog);
        if backlog.over {
            return;
        }
        match &self.keys {
            None => self.send_under(&mut backlog, bytes),
            Some(keys) => keys.encrypt(bytes, |bytes| self.send_under(&mut backlog, bytes)),
        }
    }

    fn send_under(&self, backlog: &mut Backlog, bytes: &[u8]) {
        let waits = !backlog.bytes.is_empty();
        let written = if waits { 0 } else { self.write(bytes, &mut backlog.over) };
        backlog.bytes.extend_from_slice(&bytes[written..]);
        backlog.over |= backlog.bytes.len() > BACKLOG;
        if backlog.over || (!waits && written < bytes.len()) {
            self.owner.wake();
        }
    }

    /// Writes the waiting bytes. Returns whether none are left. An error ends the connection.
    pub(super) fn flush(&self) -> io::Result<bool> {
        let mut backlog = lock(&self.backlog);
        if !backlog.bytes.is_empty() {
            let mut over = false;
            let written = self.write(&backlog.bytes, &mut over);
            backlog.bytes.drain(..written);
            backlog.over |= over;
            if backlog.bytes.is_empty() {
                backlog.bytes = Vec::new();
            }
        }
        if backlog.over {
            Err(io::ErrorKind::BrokenPipe.into())
        } else {
            Ok(backlog.bytes.is_empty())
        }
    }

    /// Returns the keys of a connection over TLS.
    pub(super) const fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// Returns the socket, for its own task to wait for.
    pub(super) fn socket(&self) -> &TcpStream {
        self.writer.as_ref()
    }

    /// Shuts the socket down for every holder of this member.
    pub(super) fn close(&self) {
        *lock(&self.backlog) = Backlog { bytes: Vec::new(), over: true };
    }

    fn write(&self, bytes: &[u8], over: &mut bool) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.writer.try_write(&bytes[written..]) {
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    *over = true;
                    break;
                }
            }
        }
        written
    }
}

/// A list of members. A broadcast walks a snapshot of it, so that no lock is held meanwhile.
#[derive(Default)]
pub(super) struct Room(Mutex<Arc<Vec<Arc<Member>>>>);

impl Room {
    pub(super) fn enter(&self, member: &Arc<Member>) {
        Arc::make_mut(&mut lock(&self.0)).push(Arc::clone(member));
    }

    pub(super) fn leave(&self, member: &Arc<Member>) {
        let mut members = lock(&self.0);
        if let Some(at) = members.iter().position(|other| Arc::ptr_eq(other, member)) {
            Arc::make_mut(&mut members).swap_remove(at);
        }
    }

    /// Writes the bytes to every member except one.
    pub(super) fn send(&self, bytes: &[u8], except: &Arc<Member>) {
        let members = Arc::clone(&lock(&self.0));
        for member in members.iter().filter(|member| !Arc::ptr_eq(member, except)) {
            member.send(bytes);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Arc<Member>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        let reader = TcpStream::connect(addr).await.expect("it listens");
        let (writer, _) = listener.accept().await.expect("it connects");
        (Arc::new(Member::new(writer.into_split().1, None)), reader)
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_follows_in_order() {
        let (member, mut reader) = pair().await;
        let sent: Vec<u8> = (0..12 << 20).map(|at: u32| (at / 7) as u8).collect();
        sent.chunks(100_000).for_each(|chunk| member.send(chunk));
        assert!(!member.flush().expect("room for all"), "more than the system buffers");
        let reads = async {
            let mut received = vec![0; sent.len()];
            reader.read_exact(&mut received).await.expect("all of it");
            received
        };
        let flushes = async {
            while !member.flush().expect("the reader is there") {
                member.socket().writable().await.expect("the reader is there");
            }
        };
        let (received, ()) = tokio::join!(reads, flushes);
        assert!(received == sent);
    }

    #[tokio::test]
    async fn whoever_never_reads_is_given_up() {
        let (member, _reader) = pair().await;
        let bytes = vec![0; 1 << 20];
        (0..64).for_each(|_| member.send(&bytes));
        assert!(member.flush().is_err());
    }

    #[tokio::test]
    async fn a_broadcast_leaves_out_the_one_and_those_that_left() {
        let room = Room::default();
        let ((one, mut first), (two, mut second), (three, mut third)) =
            (pair().await, pair().await, pair().await);
        [&one, &two, &three].into_iter().for_each(|member| room.enter(member));
        room.send(b"a", &one);
        room.leave(&three);
        room.send(b"b", &two);
        // The last handle closes a socket, so that the readers see its end.
        drop((one, two, three, room));
        for (reader, got) in [(&mut first, "b"), (&mut second, "a"), (&mut third, "a")] {
            let mut received = String::new();
            reader.read_to_string(&mut received).await.expect("the end");
            assert_eq!(received, got);
        }
    }
}
