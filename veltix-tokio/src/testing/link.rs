//! [`Link`]: the connection path of one client to the server, which fails when a test requests it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, watch};

use super::line::Line;
use crate::sync::Mutex;
use crate::transport::{Connector, Listener, PeerAddr, Stream};

/// The number of connections that may wait to be accepted, like a socket's backlog.
const BACKLOG: usize = 1_024;

/// The health of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Up,
    Frozen,
    Cut,
}

/// The link between a client and the [`TestServer`](super::TestServer).
///
/// It is a [`Connector`]: if the application connects by itself, pass the link to
/// [`Client::connect_with`](crate::Client::connect_with). A clone is the same link.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

struct Shared {
    switchboard: Switchboard,
    health: watch::Sender<Health>,
    /// The connections over this link that may still exist.
    lines: Mutex<Vec<Weak<Line>>>,
    /// The number of the last connection.
    number: AtomicU64,
}

/// Connects links to the server.
#[derive(Clone)]
pub(super) struct Switchboard {
    to_server: mpsc::Sender<Stream>,
    numbers: Arc<AtomicU64>,
}

/// The server's end of all links.
pub(super) struct LinkListener(mpsc::Receiver<Stream>);

impl Switchboard {
    pub(super) fn new() -> (Self, LinkListener) {
        let (to_server, receiver) = mpsc::channel(BACKLOG);
        (Self { to_server, numbers: Arc::default() }, LinkListener(receiver))
    }

    pub(super) fn link(&self) -> Link {
        Link(Arc::new(Shared {
            switchboard: self.clone(),
            health: watch::Sender::new(Health::Up),
            lines: Mutex::default(),
            number: AtomicU64::new(0),
        }))
    }
}

impl Link {
    /// Ends the connection on both sides at once, as a reset does: bytes in transit are lost. Until
    /// [`heal`](Link::heal) no connection is possible. A client that [reconnects] continues to try.
    ///
    /// [reconnects]: crate::Reconnect
    pub fn cut(&self) {
        self.set(Health::Cut);
    }

    /// Stops all traffic in both directions until [`heal`](Link::heal), including the end of the
    /// connection and new connections. Bytes that are sent meanwhile fill the link's buffers, then
    /// the sender's outbox.
    pub fn freeze(&self) {
        self.set(Health::Frozen);
    }

    /// Restores the traffic: frozen bytes arrive, and new connections are possible. A connection
    /// that was cut remains closed.
    pub fn heal(&self) {
        self.set(Health::Up);
    }

    fn set(&self, health: Health) {
        let lines = {
            let mut lines = self.0.lines.lock();
            // Under the lock, so that a connection that is being created is not missed.
            self.0.health.send_replace(health);
            lines.retain(|line| line.strong_count() > 0);
            lines.clone()
        };
        lines.iter().filter_map(Weak::upgrade).for_each(|line| line.set(health));
    }

    /// Returns the address of the last connection, as the server sees it.
    pub(super) fn addr(&self) -> PeerAddr {
        PeerAddr::Memory(self.0.number.load(Ordering::Relaxed))
    }

    /// Creates a connection, if the link is up.
    fn line(&self) -> Option<(Stream, Stream)> {
        let mut lines = self.0.lines.lock();
        if *self.0.health.borrow() != Health::Up {
            return None;
        }
        let number = self.0.switchboard.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.number.store(number, Ordering::Relaxed);
        let (line, ours, theirs) = Line::connect(number);
        lines.push(Arc::downgrade(&line));
        Some((ours, theirs))
    }
}

impl Connector for Link {
    async fn connect(&self) -> io::Result<Stream> {
        loop {
            let mut health = self.0.health.subscribe();
            // The link owns the sender, so the wait ends only with the value.
            let _ = health.wait_for(|health| *health != Health::Frozen).await;
            if *health.borrow() == Health::Cut {
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            let Some((ours, theirs)) = self.line() else { continue };
            let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
            self.0.switchboard.to_server.send(theirs).await.map_err(refused)?;
            return Ok(ours);
        }
    }

    fn target(&self) -> String {
        "the test server".to_owned()
    }
}

impl Listener for LinkListener {
    async fn accept(&mut self) -> io::Result<Stream> {
        match self.0.recv().await {
            Some(stream) => Ok(stream),
            // Every link was dropped, so no connection can come any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(0)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = *self.0.health.borrow();
        f.debug_struct("Link").field("addr", &self.addr()).field("health", &health).finish()
    }
}
