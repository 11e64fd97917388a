//! The test kit, `veltix::testing`, tested by itself.

mod clock;
mod expectations;
mod failures;
mod links;
mod spans;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use veltix::{Hub, Message, Peer, Router, SendError, all};

use crate::support::{ECHO, OTHER};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Creates a router that sends ECHO back, and broadcasts OTHER to all peers except its sender.
fn chat() -> Router {
    Router::new().route(ECHO, |message: Message| message).route(
        OTHER,
        |hub: Hub, peer: Peer, message: Message| {
            hub.to(all()).except(&peer).send(&message)?;
            Ok::<_, SendError>(())
        },
    )
}

/// Returns the panic text of a future.
async fn panic_of<T>(body: impl Future<Output = T>) -> String {
    match AssertUnwindSafe(body).catch_unwind().await {
        Ok(_) => panic!("it did not panic"),
        Err(panic) => text(&*panic),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).expect("a text")
}
