//! [`MessageStream`]: the messages that no route took, as a stream.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::Stream;
use tokio::sync::Notify;
use tokio::time::timeout;
use veltix_core::Message;
use veltix_core::limits::{DETACH_BELOW, FRAME_OVERHEAD, UNREAD_GRACE};

use super::outcome::{Failure, Outcome};
use super::reply::IntoReply;
use super::{Router, Unbound};
use crate::peer::Peer;
use crate::sync::Mutex;

/// The steps in which [`UNREAD_GRACE`] passes. A pause of the whole process ends one step at most, so the
/// reader then still has the others to take a message.
const GRACE_STEPS: u32 = 10;

/// The end of the queue that the router fills. Dropping the last clone ends the stream.
#[derive(Clone)]
pub(crate) struct Messages(Arc<Feed>);

/// The feed of a router. It ends with the routes.
struct Feed(Arc<Shared>);

/// The state that the feed and the stream share.
struct Shared {
    queue: Mutex<Queue>,
    /// Notified when the queue has room, or the stream is dropped. One message waits at a time, since
    /// the serial handlers wait with it.
    room: Notify,
}

/// Messages that were not read yet.
struct Queue {
    messages: VecDeque<Unread>,
    /// Bytes of the messages, each with its overhead.
    bytes: usize,
    /// False after the client has lost its server for good, until it connects again.
    is_open: bool,
    /// False after the stream was dropped.
    has_reader: bool,
    reader: Option<Waker>,
    /// The number of steps for which a message has found no room since one was taken.
    full_steps: u32,
    /// The number of messages that found no room for too long.
    missed: u64,
}

/// A message in the queue, and the peer that counts it as waiting.
struct Unread {
    message: Message,
    peer: Peer,
}

/// The outcome of an attempt to queue a message.
enum Offer {
    Ended(Offered),
    /// There is no room. The message may wait for another step.
    Full(Message),
}

/// The outcome of offering a message to the stream.
#[derive(Debug)]
enum Offered {
    /// The stream has the message.
    Queued,
    /// The stream is not read, and has no room.
    Unread,
    /// There is no stream any more.
    Unclaimed,
}

impl IntoReply for Offered {
    fn into_outcome(self) -> Outcome {
        match self {
            Self::Queued => Outcome::Silent,
            Self::Unread => Failure::Unread.into(),
            Self::Unclaimed => Failure::Unclaimed.into(),
        }
    }
}

impl Messages {
    fn new() -> (Self, MessageStream) {
        let queue = Queue {
            messages: VecDeque::new(),
            bytes: 0,
            is_open: true,
            has_reader: true,
            reader: None,
            full_steps: 0,
            missed: 0,
        };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), room: Notify::new() });
        (Self(Arc::new(Feed(Arc::clone(&shared)))), MessageStream(shared))
    }

    /// Opens the stream, if it has ended.
    pub(crate) fn begin(&self) {
        self.0.0.queue.lock().is_open = true;
    }

    /// Ends the stream after the messages that it holds.
    pub(crate) fn end(&self) {
        self.0.0.end();
    }

    /// Handles a message that no route took: offers it to the stream, and waits for room while the
    /// stream is read.
    async fn offer(self, peer: Peer, message: Message) -> Offered {
        let shared = &self.0.0;
        let mut message = message.detach_below(DETACH_BELOW);
        loop {
            let room = shared.room.notified();
            match shared.push(&peer, message) {
                Offer::Ended(offered) => return offered,
                Offer::Full(unsent) => message = unsent,
            }
            if timeout(UNREAD_GRACE / GRACE_STEPS, room).await.is_err() {
                shared.queue.lock().full_steps += 1;
            }
        }
    }
}

impl Shared {
    /// Queues a message, within the limits of the inbox of its connection.
    fn push(&self, peer: &Peer, message: Message) -> Offer {
        let limits = peer.session().limits();
        let reader = {
            let mut queue = self.queue.lock();
            if !queue.has_reader {
                return Offer::Ended(Offered::Unclaimed);
            }
            let has_room =
                queue.messages.len() < limits.inbox_messages && queue.bytes < limits.inbox_bytes;
            if !has_room {
                if queue.full_steps < GRACE_STEPS {
                    return Offer::Full(message);
                }
                queue.missed += 1;
                return Offer::Ended(Offered::Unread);
            }
            // Before the handler's call is counted as handled.
            peer.session().receipts().begin_unread();
            queue.bytes += charge(&message);
            queue.messages.push_back(Unread { message, peer: peer.clone() });
            queue.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
        Offer::Ended(Offered::Queued)
    }

    fn end(&self) {
        let reader = {
            let mut queue = self.queue.lock();
            queue.is_open = false;
            queue.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        let unread = {
            let mut queue = self.queue.lock();
            let Some(unread) = queue.messages.pop_front() else {
                if !queue.is_open {
                    return Poll::Ready(None);
                }
                queue.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            queue.bytes -= charge(&unread.message);
            queue.full_steps = 0;
            if queue.messages.is_empty() {
                // A stream without messages holds no memory for them.
                queue.messages = VecDeque::new();
            }
            unread
        };
        unread.peer.session().receipts().end_unread();
        self.room.notify_one();
        Poll::Ready(Some(unread.message))
    }
}

fn charge(message: &Message) -> usize {
    message.body().len() + FRAME_OVERHEAD
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The messages that no route took, in order. [`Router::messages`] returns the stream.
///
/// The stream holds as many messages and bytes as the [inbox](crate::ClientConfig::inbox) of its
/// client, by default 64 messages and 1 MiB; one message always fits. A message waits until the
/// stream is read:
///
/// - While the full stream is read, further messages, and so the messages with a route behind them,
///   wait for it, and the server is slowed down.
/// - If no message is taken from the full stream for one second, further messages are dropped until
///   one is taken, so that routes go on. [`missed`](MessageStream::missed) and
///   [`discarded_unread`](crate::Received::discarded_unread) count them, and each is an
///   [`Event::Unread`](crate::Event::Unread).
/// - After the stream is dropped, messages without a route have an unknown code: they are counted and
///   dropped.
///
/// The stream goes on over reconnects. It returns `None` while the client has no connection and does
/// not try to get one, and after the client is closed. After a [`retry`](crate::Client::retry) that
/// led to a connection it goes on.
pub struct MessageStream(Arc<Shared>);

impl MessageStream {
    /// Returns the next message, or `None` when no more messages arrive.
    ///
    /// # Cancel safety
    /// Cancel safe: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        std::future::poll_fn(|cx| self.0.poll(cx)).await
    }

    /// Returns the number of messages that were dropped since the stream was full, and not read for
    /// one second.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.0.queue.lock().missed
    }
}

impl Stream for MessageStream {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.0.poll(cx)
    }
}

impl Drop for MessageStream {
    fn drop(&mut self) {
        let unread = {
            let mut queue = self.0.queue.lock();
            queue.has_reader = false;
            queue.bytes = 0;
            std::mem::take(&mut queue.messages)
        };
        for Unread { peer, .. } in unread {
            peer.session().receipts().drop_unread();
        }
        self.0.room.notify_one();
    }
}

impl fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.0.queue.lock();
        f.debug_struct("MessageStream")
            .field("unread", &queue.messages.len())
            .field("missed", &queue.missed)
            .finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// Takes the messages without a route as a stream, in place of a [`fallback`](Router::fallback), for
    /// tests and programs that read one message after the other. It is for the router of a
    /// [`Client`](crate::Client): the stream exists before the connection, so it misses no message.
    ///
    /// ```no_run
    /// use veltix::{Client, ClientConfig, Message, MessageType, Router};
    ///
    /// const SAY: MessageType = MessageType::new(200, "say", "");
    ///
    /// # async fn f() -> veltix::Result<()> {
    /// let (router, mut messages) = Router::new().messages();
    /// let client = Client::connect(ClientConfig::default(), router).await?;
    /// client.send(&Message::from_text(SAY, "hello")).await?;
    /// while let Some(message) = messages.next().await {
    ///     println!("{}", message.text()?);
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn messages(mut self) -> (Self, MessageStream) {
        let (messages, stream) = Messages::new();
        let feed = messages.clone();
        let offer = move |peer: Peer, message: Message| feed.clone().offer(peer, message);
        self.fallback = Some(Unbound::<_, Message>::new::<_, _, Message>(offer));
        self.messages = Some(messages);
        (self, stream)
    }

    /// Returns the feed of the stream, if the router has one.
    pub(crate) fn feed(&self) -> Option<Messages> {
        self.messages.clone()
    }
}
