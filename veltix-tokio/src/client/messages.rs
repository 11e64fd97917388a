//! The pull side of a client: what no route took, as a stream.

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

/// Where messages wait for [`MessageStream`]: 64 at most.
///
/// Before anybody has asked for the stream, what finds no room is dropped and counted as unknown;
/// afterwards it makes the lane wait, and in the end the server. So a client that never asks is
/// not held up, and one that asks right after it connected misses nothing.
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
    /// `None` once it is taken.
    receiver: Option<mpsc::Receiver<Message>>,
}

impl Messages {
    pub(super) fn new() -> Self {
        let shared = Shared { channel: Mutex::default(), asked_for: AtomicBool::new(false) };
        let messages = Self(Arc::new(shared));
        messages.begin();
        messages
    }

    /// Opens the stream, if it has ended. What nobody has asked for so far is still in it.
    pub(super) fn begin(&self) {
        let mut channel = self.0.channel.lock();
        if channel.sender.is_some() {
            return;
        }
        let (sender, receiver) = mpsc::channel(INBOX_MESSAGES);
        let unread = channel.receiver.replace(receiver);
        match unread {
            // It has the same capacity, so all of it fits.
            Some(mut unread) => {
                while let Ok(message) = unread.try_recv() {
                    let _ = sender.try_send(message);
                }
            }
            None => self.0.asked_for.store(false, Ordering::Release),
        }
        channel.sender = Some(sender);
    }

    /// The stream, for the first who asks.
    pub(super) fn take(&self) -> Option<MessageStream> {
        let mut channel = self.0.channel.lock();
        // Under the lock: it must not be taken back by a stream that just begins.
        self.0.asked_for.store(true, Ordering::Release);
        channel.receiver.take().map(MessageStream)
    }

    /// Ends the stream behind what it holds: nothing more will come, whoever still has a handle.
    pub(super) fn end(&self) {
        let sender = self.0.channel.lock().sender.take();
        drop(sender);
    }

    /// The handler that feeds the stream.
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

/// What became of a message that no route took.
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

/// The messages that no route took, in order. Made by [`Client::messages`](crate::Client::messages).
///
/// It holds 64 messages; while it is full, reading pauses. Dropped, further messages are counted
/// as unknown and dropped. It ends when the client is closed, or has no connection and does not try
/// to get one.
#[derive(Debug)]
pub struct MessageStream(mpsc::Receiver<Message>);

impl MessageStream {
    /// The next message; `None` when no more will come.
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
