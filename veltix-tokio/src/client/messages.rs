//! The pull side of a client: what no route took, as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc;
use veltix_core::Message;

use crate::limits::{DETACH_BELOW, INBOX_MESSAGES};
use crate::router::{IntoReply, Outcome};
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
    /// `None` once the client has ended.
    sender: Mutex<Option<mpsc::Sender<Message>>>,
    receiver: Mutex<Option<mpsc::Receiver<Message>>>,
    asked_for: AtomicBool,
}

impl Messages {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(INBOX_MESSAGES);
        let (sender, receiver) = (Mutex::new(Some(sender)), Mutex::new(Some(receiver)));
        Self(Arc::new(Shared { sender, receiver, asked_for: AtomicBool::new(false) }))
    }

    /// The stream, for the first who asks.
    pub(super) fn take(&self) -> Option<MessageStream> {
        self.0.asked_for.store(true, Ordering::Release);
        self.0.receiver.lock().take().map(MessageStream)
    }

    /// Ends the stream behind what it holds: the client has ended, whoever still has a handle.
    pub(super) fn end(&self) {
        drop(self.0.sender.lock().take());
    }

    /// The handler that feeds the stream.
    pub(super) async fn offer(self, message: Message) -> Offered {
        let message = message.detach_below(DETACH_BELOW);
        let sender = self.0.sender.lock().clone();
        let taken = match sender {
            Some(sender) if self.0.asked_for.load(Ordering::Acquire) => {
                sender.send(message).await.is_ok()
            }
            Some(sender) => sender.try_send(message).is_ok(),
            None => false,
        };
        if taken { Offered::Taken } else { Offered::Unclaimed }
    }
}

/// What became of a message that no route took.
#[derive(Debug)]
pub(super) enum Offered {
    Taken,
    Unclaimed,
}

impl IntoReply for Offered {
    fn into_outcome(self) -> Outcome {
        match self {
            Self::Taken => Outcome::Silent,
            Self::Unclaimed => Outcome::Unclaimed,
        }
    }
}

/// The messages that no route took, in order. Made by [`Client::messages`](crate::Client::messages).
///
/// It holds 64 messages; while it is full, reading pauses. Dropped, further messages are counted
/// as unknown and dropped. It ends when the client has ended.
#[derive(Debug)]
pub struct MessageStream(mpsc::Receiver<Message>);

impl MessageStream {
    /// The next message; `None` when the client has ended.
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
