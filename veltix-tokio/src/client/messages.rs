//! The messages of a client that no route took, as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc;
use veltix_core::Message;
use veltix_core::limits::{DETACH_BELOW, INBOX_MESSAGES};

use crate::router::{Failure, IntoReply, Outcome};
use crate::sync::Mutex;

/// The queue of at most 64 messages in front of [`MessageStream`].
///
/// Until the application has asked for the stream, a message that finds no room is dropped and
/// counted as unknown. Afterwards a full queue makes the serial handlers wait, and in the end the
/// server. So a client that never asks for the stream is not blocked, and a client that asks right
/// after it connected misses no message.
#[derive(Clone, Debug)]
pub(super) struct Messages(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    channel: Mutex<Channel>,
    asked_for: AtomicBool,
}

#[derive(Debug, Default)]
struct Channel {
    /// `None` while the client has no connection and does not try to get one.
    sender: Option<mpsc::Sender<Message>>,
    /// `None` after the stream has been taken.
    receiver: Option<mpsc::Receiver<Message>>,
}

impl Messages {
    pub(super) fn new() -> Self {
        let shared = Shared { channel: Mutex::default(), asked_for: AtomicBool::new(false) };
        let messages = Self(Arc::new(shared));
        messages.begin();
        messages
    }

    /// Opens the stream, if it has ended. Messages that the application has not asked for yet stay
    /// in it.
    pub(super) fn begin(&self) {
        let mut channel = self.0.channel.lock();
        if channel.sender.is_some() {
            return;
        }
        let (sender, receiver) = mpsc::channel(INBOX_MESSAGES);
        let unread = channel.receiver.replace(receiver);
        match unread {
            // The new channel has the same capacity, so all messages fit.
            Some(mut unread) => {
                while let Ok(message) = unread.try_recv() {
                    let _ = sender.try_send(message);
                }
            }
            None => self.0.asked_for.store(false, Ordering::Release),
        }
        channel.sender = Some(sender);
    }

    /// Returns the stream to the first caller, and `None` to later callers.
    pub(super) fn take(&self) -> Option<MessageStream> {
        let mut channel = self.0.channel.lock();
        // The flag is set under the lock, so that a concurrent `begin` cannot reset it.
        self.0.asked_for.store(true, Ordering::Release);
        channel.receiver.take().map(MessageStream)
    }

    /// Ends the stream after the messages that it holds. No further message arrives, even if
    /// handles remain.
    pub(super) fn end(&self) {
        let sender = self.0.channel.lock().sender.take();
        drop(sender);
    }

    /// Handles a message that no route took: offers it to the stream.
    pub(super) async fn offer(self, message: Message) -> Offered {
        let message = message.detach_below(DETACH_BELOW);
        let sender = self.0.channel.lock().sender.clone();
        let taken = match sender {
            Some(sender) if self.0.asked_for.load(Ordering::Acquire) => {
                sender.send(message).await.is_ok()
            }
            Some(sender) => sender.try_send(message).is_ok(),
            None => false,
        };
        if taken { Offered::Accepted } else { Offered::Unclaimed }
    }
}

/// The outcome of offering a message to the stream.
#[derive(Debug)]
pub(super) enum Offered {
    Accepted,
    Unclaimed,
}

impl IntoReply for Offered {
    fn into_outcome(self) -> Outcome {
        match self {
            Self::Accepted => Outcome::Silent,
            Self::Unclaimed => Failure::Unclaimed.into(),
        }
    }
}

/// The messages that no route took, in order. [`Client::messages`](crate::Client::messages) returns
/// the stream.
///
/// The stream holds 64 messages. While it is full, reading pauses. After it is dropped, further
/// messages are counted as unknown and dropped. It ends when the client is closed, or when the
/// client has no connection and does not try to get one.
#[derive(Debug)]
pub struct MessageStream(mpsc::Receiver<Message>);

impl MessageStream {
    /// Returns the next message, or `None` when no more messages arrive.
    ///
    /// # Cancel safety
    /// Cancel safe: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        self.0.recv().await
    }
}

impl Stream for MessageStream {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.0.poll_recv(cx)
    }
}
