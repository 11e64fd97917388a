//! [`Link`]: the way of one client to the server, which fails when a test says so.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, watch};

use super::line::Line;
use crate::sync::Mutex;
use crate::transport::{Connector, Listener, PeerAddr, Stream};

/// Connections that may wait to be accepted, as a socket's backlog.
const BACKLOG: usize = 1_024;

/// What a link lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Up,
    Frozen,
    Cut,
}

/// The link between a client and the [`TestServer`](super::TestServer).
///
/// It is a [`Connector`]: where the application connects by itself, give it to
/// [`Client::connect_with`](crate::Client::connect_with). A clone is the same link.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

struct Shared {
    switchboard: Switchboard,
    health: watch::Sender<Health>,
    /// The connections over this link that may still be there.
    lines: Mutex<Vec<Weak<Line>>>,
    /// The number of the last of them.
    number: AtomicU64,
}

/// Leads links to the server.
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
    /// Ends the connection, as a reset does, on both sides at once: what was on its way is lost.
    /// Until [`heal`](Link::heal), nobody gets through. A client that [reconnects] tries on.
    ///
    /// [reconnects]: crate::Reconnect
    pub fn cut(&self) {
        self.set(Health::Cut);
    }

    /// Lets nothing pass, in neither direction, until [`heal`](Link::heal); not even an end of
    /// the connection, and no new one. What is sent meanwhile fills the link's buffers, then the
    /// sender's outbox.
    pub fn freeze(&self) {
        self.set(Health::Frozen);
    }

    /// Lets everything pass again: what was frozen arrives, and new connections get through. One
    /// that was cut is over.
    pub fn heal(&self) {
        self.set(Health::Up);
    }

    fn set(&self, health: Health) {
        let lines = {
            let mut lines = self.0.lines.lock();
            // Under the lock, so that a connection which is just made is not missed.
            self.0.health.send_replace(health);
            lines.retain(|line| line.strong_count() > 0);
            lines.clone()
        };
        lines.iter().filter_map(Weak::upgrade).for_each(|line| line.set(health));
    }

    /// Where the last connection comes from, as the server sees it.
    pub(super) fn addr(&self) -> PeerAddr {
        PeerAddr::Memory(self.0.number.load(Ordering::Relaxed))
    }

    /// A new connection, if the link is up.
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
            // Its sender is our own, so the wait ends only with the value.
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
            // Every link is gone, so nobody can come any more.
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
