//! The promises of the documentation, one file for each. For each promise, `planted` shows that its
//! tests notice a violation.

mod ends;
mod meddler;
mod p01_batches;
mod p01_order;
mod p02_accounting;
mod p03_requests;
mod p04_handlers;
mod p05_classes;
mod p05_slow_peers;
mod p06_authenticate;
mod p06_on_connect;
mod p07_ends;
mod p07_neighbours;
mod p08_shutdown;
mod p08_spread;
mod p09_hostile;
mod p10_python;
mod p11_ownership;
#[cfg(veltix_planted_bugs)]
mod planted;

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::timeout;
use veltix::stats::{Received, Sent};
use veltix::{Message, MessageType, OverflowPolicy};

use crate::support::PATIENCE;

pub(crate) const POLICIES: [OverflowPolicy; 3] =
    [OverflowPolicy::Disconnect, OverflowPolicy::DropNewest, OverflowPolicy::DropOldest];

/// Runs a test on one thread and a paused clock, so that timeouts take no time. A test that hangs
/// fails.
pub(crate) fn paused(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("the test ends") });
}

/// Counts its drops, for example the drop of a cancelled handler's future.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(crate) fn guard(&self) -> impl Drop + Send + use<> {
        struct Guard(Arc<AtomicUsize>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        Guard(Arc::clone(&self.0))
    }

    /// Returns a handler that never returns by itself.
    pub(crate) fn stuck(
        &self,
    ) -> impl Fn() -> BoxFuture<'static, ()> + Clone + Send + Sync + use<> {
        let drops = self.clone();
        move || {
            let guard = drops.guard();
            Box::pin(async move {
                pending::<()>().await;
                drop(guard);
            })
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns a body that begins with its number, so that its order is visible. Its length and content
/// depend on the number, so that damage is visible.
pub(crate) fn body(number: u32, longest: usize) -> Bytes {
    let length = 4 + (number as usize).wrapping_mul(7919) % (longest - 3);
    let mut bytes = vec![number as u8; length];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

/// Returns the number of a body.
pub(crate) fn number(body: &Bytes) -> u32 {
    u32::from_be_bytes(*body.first_chunk().expect("it begins with its number"))
}

/// Creates a message whose body is only its number.
pub(crate) fn numbered(message_type: MessageType, number: u32) -> Message {
    Message::new(message_type, body(number, 4))
}

/// Returns the numbers of messages, in their order.
pub(crate) fn numbers(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|message| number(message.body())).collect()
}

/// Checks the accounting equations that always hold, in both directions.
#[track_caller]
pub(crate) fn check(sent: Sent, received: Received) {
    assert_eq!(sent.accepted, sent.written + sent.dropped() + sent.queued, "{sent:?}");
    let known = received.handled + received.rejected + received.discarded() + received.waiting;
    assert_eq!(received.received, known, "{received:?}");
}
