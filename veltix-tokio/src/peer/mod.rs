//! [`Peer`], the handle of the other end of a connection.

mod attached;
mod closing;
mod sending;
mod tags;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;
use veltix_core::{EncodeError, Frame, Hello, IdSpace, Message, OverflowPolicy, PeerId, ToMessage};

use crate::batch;
use crate::close::{CloseReason, Disconnected, Received};
use crate::codec::within;
use crate::endpoint::Endpoint;
use crate::events::Event;
use crate::memory::Holding;
use crate::outbox::{Dropped, Outbox, Overflow, Queued, Sent};
use crate::session::{Attached, Calls, Over, Receipts};
use crate::sync::Mutex;
use crate::sync::{Waiters, wake_all};
#[cfg(feature = "__tls")]
use crate::tls::TlsInfo;
use crate::transport::{Link, PeerAddr};
pub use closing::Closing;
pub use sending::Sending;

/// The other end of a connection, on a server and on a client alike.
///
/// A clone is cheap and means the same connection. A `Peer` never keeps its connection alive: when
/// that is over, sending says [`SendError::Closed`]. A reconnect makes a new `Peer`.
#[derive(Clone)]
pub struct Peer(Arc<Shared>);

/// What the handles and the task of one connection share.
struct Shared {
    id: PeerId,
    link: Link,
    hello: Arc<Hello>,
    endpoint: Arc<Endpoint>,
    outbox: Outbox,
    calls: Mutex<Calls>,
    /// Which ids mean what; the same as that of `calls`, to be read without the lock.
    ids: IdSpace,
    receipts: Receipts,
    /// Memory that holds what was received of it.
    reading: Holding,
    /// Read by the task at every poll; the reason is behind the lock.
    end_asked: AtomicBool,
    /// This side does not wait for handlers any more, whatever the reason for the end was.
    cancelled: AtomicBool,
    end: Mutex<End>,
    attached: Attached,
    /// The threads of the pool that it may take at once; none before it needs one.
    threads: OnceLock<Arc<Semaphore>>,
}

#[derive(Default)]
struct End {
    /// The first reason that anybody gave.
    asked: Option<CloseReason>,
    /// What the task said last. Boxed: most peers are still there.
    outcome: Option<Box<Disconnected>>,
    waiting: Waiters,
}

impl Peer {
    pub(crate) fn new(
        id: PeerId,
        link: Link,
        hello: Arc<Hello>,
        endpoint: Arc<Endpoint>,
        outbox: Outbox,
        calls: Calls,
    ) -> Self {
        let reading = Holding::new(Arc::clone(endpoint.memory()));
        Self(Arc::new(Shared {
            id,
            link,
            hello,
            endpoint,
            outbox,
            ids: calls.space(),
            calls: Mutex::new(calls),
            receipts: Receipts::default(),
            reading,
            end_asked: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            end: Mutex::default(),
            attached: Attached::default(),
            threads: OnceLock::new(),
        }))
    }

    /// The number of this connection. A server never uses one twice.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// The address of the other end.
    #[must_use]
    pub fn addr(&self) -> &PeerAddr {
        &self.0.link.addr
    }

    /// What is known of the connection's TLS, the peer's certificates with it; `None` without TLS.
    #[cfg(feature = "__tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.link.tls.as_deref()
    }

    /// What the peer said of itself in the handshake: its package's version, and its extensions.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.0.hello
    }

    /// Whether the connection is over or ending.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.end_asked.load(Ordering::Acquire)
    }

    /// What became of the messages in both directions, so far.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        PeerStats { sent: self.0.outbox.sent(), received: self.0.receipts.received() }
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    pub(crate) fn calls(&self) -> &Mutex<Calls> {
        &self.0.calls
    }

    /// Tells that a call of ours was not answered in time.
    pub(crate) fn tell_timeout(&self, code: u16) {
        let event = || Event::RequestTimedOut { peer: self.clone(), code };
        self.0.endpoint.events().tell(event);
    }

    /// Fails every call, now and from now on: no answer will come.
    pub(crate) fn end_calls(&self) {
        let over = self.0.calls.lock().end();
        over.into_iter().for_each(Over::tell);
    }

    pub(crate) fn receipts(&self) -> &Receipts {
        &self.0.receipts
    }

    /// Memory that holds what was received of it, which only the connection's own task changes.
    pub(crate) fn reading(&self) -> &Holding {
        &self.0.reading
    }

    /// Memory that its connection holds, as far as it is counted.
    pub(crate) fn held(&self) -> usize {
        self.0.reading.bytes() + self.0.outbox.held()
    }

    pub(crate) fn ids(&self) -> IdSpace {
        self.0.ids
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0.endpoint
    }

    /// Its turns on the threads for blocking handlers, first come, first served.
    pub(crate) fn threads(&self) -> &Arc<Semaphore> {
        let all = || Arc::new(Semaphore::new(self.0.endpoint.workers().per_peer()));
        self.0.threads.get_or_init(all)
    }

    /// Encodes a message, within this side's size limit.
    pub(crate) fn encode(
        &self,
        message: &(impl ToMessage + ?Sized),
    ) -> Result<Message, EncodeError> {
        within(message.to_message()?, self.0.endpoint.limits().max_message_size)
    }

    /// Sees to what was queued for the peer: its flush, and that the application learns it if
    /// others had to go for it.
    pub(crate) fn see_to(&self, queued: Queued) {
        batch::queued(self, queued);
        self.see_to_dropped(queued);
    }

    /// The same for a frame of this length that a handler may have sent, of another peer.
    pub(crate) fn see_to_published(&self, queued: Queued, length: usize) {
        self.see_to(queued);
        batch::published_to(self, length, queued);
    }

    /// The same for a frame that nothing else will follow soon.
    pub(crate) fn see_to_alone(&self, queued: Queued) {
        batch::queued_alone(self, queued);
        self.see_to_dropped(queued);
    }

    fn see_to_dropped(&self, queued: Queued) {
        if queued.dropped > 0 {
            self.tell_overflow();
        }
    }

    /// Tells the application that there was no room, once until the outbox has been empty.
    fn tell_overflow(&self) {
        if self.0.outbox.begins_overflow() {
            tracing::warn!(peer = %self, "the peer reads too slowly and its outbox is full");
            self.0.endpoint.events().tell(|| Event::SlowConsumer { peer: self.clone() });
        }
    }

    /// Tells the application what was dropped for others and not told yet.
    pub(crate) fn tell_dropped(&self) {
        let dropped = self.0.outbox.take_dropped();
        if dropped.is_empty() {
            return;
        }
        let frames: u64 = dropped.iter().map(Dropped::total).sum();
        tracing::info!(peer = %self, frames, "frames were dropped while the peer read too slowly");
        self.0.endpoint.events().tell(|| Event::Dropped { peer: self.clone(), dropped });
    }

    /// Queues a broadcast's frame, or does what the policy says.
    pub(crate) fn push_or(&self, frame: Frame, policy: OverflowPolicy) -> Overflow {
        let overflow = self.0.outbox.push_or(frame, policy);
        match overflow {
            Overflow::Queued(queued) => self.see_to(queued),
            // Told once, however much comes before its task ends it.
            Overflow::Disconnect if self.is_closed() => return Overflow::Closed,
            Overflow::Disconnect => {
                self.tell_overflow();
                self.end(CloseReason::SlowConsumer);
            }
            Overflow::Refused => self.tell_overflow(),
            Overflow::Closed => {}
        }
        overflow
    }

    /// Asks the task to end the connection; the first reason counts.
    pub(crate) fn end(&self, reason: CloseReason) {
        self.0.end.lock().asked.get_or_insert(reason);
        self.0.end_asked.store(true, Ordering::Release);
        self.0.outbox.wake_owner();
    }

    /// Drops what waits for a peer that is leaving.
    pub(crate) fn give_up_queue(&self) {
        let reason = self.end_asked().unwrap_or(CloseReason::Evicted);
        self.0.outbox.close(reason.drop_reason());
        self.0.outbox.wake_owner();
    }

    /// Asks the task to end the connection, and not to wait for handlers.
    pub(crate) fn cancel(&self, reason: CloseReason) {
        self.0.cancelled.store(true, Ordering::Release);
        self.end(reason);
    }

    /// Why the task was asked to end the connection, if it was.
    pub(crate) fn end_asked(&self) -> Option<CloseReason> {
        if !self.0.end_asked.load(Ordering::Acquire) {
            return None;
        }
        self.0.end.lock().asked.clone()
    }

    /// Whether this side closes, as by [`Peer::close`]: it cancels handlers that an earlier end
    /// let finish.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// The task's last word.
    pub(crate) fn ended(&self, outcome: Disconnected) {
        let waiting = {
            let mut end = self.0.end.lock();
            end.asked.get_or_insert_with(|| outcome.reason.clone());
            end.outcome = Some(Box::new(outcome));
            end.waiting.take()
        };
        self.0.end_asked.store(true, Ordering::Release);
        wake_all(waiting);
    }
}

/// For [`peers`](veltix_core::peers).
impl From<&Peer> for PeerId {
    fn from(peer: &Peer) -> Self {
        peer.id()
    }
}

/// For [`peers`](veltix_core::peers).
impl From<Peer> for PeerId {
    fn from(peer: Peer) -> Self {
        peer.id()
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Display for Peer {
    /// `#7 (127.0.0.1:4711)`: number and address, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ({})", self.0.id, self.0.link.addr)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({}, {})", self.0.id, self.0.link.addr)
    }
}

/// What became of the messages of a connection, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Frames sent to the peer.
    pub sent: Sent,
    /// Messages received from it.
    pub received: Received,
}
