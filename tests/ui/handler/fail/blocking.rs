//! An async function where a plain one belongs.

use veltix::{MessageType, Msg, Router};

#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Say { text: String },
}

const OTHER: MessageType = MessageType::new(201, "other", "");

async fn say(Msg(_): Msg<Say>) {}

fn main() {
    let _: Router = Router::new().on_blocking(say);
    let _: Router = Router::new().route_blocking(OTHER, async || {});
}
