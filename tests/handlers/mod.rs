//! Handlers: their arguments, the execution of their routes, their layers, their replies, and
//! surveys of many peers.

mod bytes;
mod closing;
mod concurrent;
mod crowd;
mod ends;
mod errors;
mod extract;
mod layers;
mod merge;
mod rate_limit;
mod survey;
mod threads;
mod timeout;
mod typed;
mod waiting;

use std::time::Duration;

use veltix::{Event, EventStream, Message, MessageType, Router};

use crate::support::{OTHER, RawPeer, World, until};

/// A third message type.
const THIRD: MessageType = MessageType::new(299, "third", "");

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sends a call and returns the next message.
async fn ask(raw: &mut RawPeer, code: u16, body: &str) -> Message {
    raw.send(code, 7, body.to_owned()).await.expect("the server reads");
    raw.next().await.expect("the server answers")
}

/// Returns the error of the next handler that fails.
async fn failure(events: &mut EventStream) -> String {
    let failed = |event| match event {
        Event::HandlerFailed { error, .. } => Some(error),
        _ => None,
    };
    until(events, failed).await
}

/// Returns the reason of the next rejection.
async fn rejection(events: &mut EventStream) -> String {
    let rejected = |event| match event {
        Event::Rejected { reason, .. } => Some(reason),
        _ => None,
    };
    until(events, rejected).await
}

/// Checks the reply of a router to a message of `OTHER` with this body.
#[track_caller]
fn check(router: Router, body: &'static str, expected: &'static str) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let world = World::new(router);
        let answer = ask(&mut world.raw().await, OTHER.code(), body).await;
        assert_eq!(answer.text().expect("text"), expected, "asked at {caller}");
    }
}
