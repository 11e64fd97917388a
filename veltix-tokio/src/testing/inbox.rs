//! The messages that a client has received, for expectations.

use std::sync::Arc;

use tokio::sync::Notify;
use veltix_core::Message;
use veltix_core::limits::DETACH_BELOW;

use crate::router::Router;
use crate::sync::Mutex;

/// The messages that no route of a client took, in order. It grows during the whole test.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<Shared>);

#[derive(Default)]
struct Shared {
    messages: Mutex<Vec<Message>>,
    /// Notified of each message. Only one task waits.
    arrived: Notify,
}

impl Inbox {
    /// Returns the router with a fallback that fills this inbox, unless the router has a fallback.
    pub(super) fn fed_by(&self, router: Router) -> Router {
        if router.has_fallback() {
            return router;
        }
        let inbox = self.clone();
        router.fallback(move |message: Message| {
            inbox.0.messages.lock().push(message.detach_below(DETACH_BELOW));
            inbox.0.arrived.notify_one();
        })
    }

    /// Waits for the message at this index.
    pub(super) async fn get(&self, index: usize) -> Message {
        loop {
            let message = self.0.messages.lock().get(index).cloned();
            if let Some(message) = message {
                return message;
            }
            self.0.arrived.notified().await;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.messages.lock().len()
    }

    pub(super) fn all(&self) -> Vec<Message> {
        self.0.messages.lock().clone()
    }
}
