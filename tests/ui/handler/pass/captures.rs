//! Async handlers that capture, in each form.

use std::sync::Arc;

use veltix::handler::Handler;
use veltix::{Hub, MessageType, Msg, Peer, Router, State};

#[veltix::message]
enum Chat {
    #[message(code = 200, reply = Greeting)]
    Say { text: String },
    #[message(code = 201)]
    Greeting(String),
}

const OTHER: MessageType = MessageType::new(202, "other", "");
const THIRD: MessageType = MessageType::new(203, "third", "");
const LAST: MessageType = MessageType::new(204, "last", "");

fn main() {
    let greeting = Arc::new(String::from("hello"));
    let (second, third, fourth) = (greeting.clone(), greeting.clone(), vec![1]);
    let router = Router::new()
        .on(async move |peer: Peer, Msg(say): Msg<Say>| {
            let _ = peer.ping().await;
            Greeting(format!("{greeting}, {}", say.text))
        })
        .route(OTHER, async move || second.len().to_string())
        // The future takes the capture.
        .route(THIRD, move |hub: Hub| async move {
            drop(third);
            hub.is_full().to_string()
        })
        .route(LAST, (async move |State(n): State<u8>| vec![n, fourth[0]]).concurrent(2))
        .on_connect(async move || -> Result<(), String> { Ok(()) });
    let _: Router = router.with_state(7);
}
