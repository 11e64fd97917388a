//! Arguments that are no extractors, or that stand at a wrong place.

use veltix::{Disconnected, Hub, Message, MessageType, Msg, Peer, Router, Text};

#[veltix::message]
enum Chat {
    #[message(code = 200)]
    Say { text: String },
}

const OTHER: MessageType = MessageType::new(201, "other", "");

async fn body_first(Msg(say): Msg<Say>, peer: Peer) {}

async fn no_extractor(number: u32) {}

async fn before(peer: Peer, number: u32, message: Message) {}

fn message(message: Message) {}

fn goodbye(ended: Disconnected) {}

fn text(Text(text): Text) {}

fn main() {
    let _: Router = Router::new().on(body_first);
    let _: Router = Router::new().route(OTHER, no_extractor);
    let _: Router = Router::new().route(OTHER, before);
    let _: Router = Router::new().on_connect(message);
    let _: Router = Router::new().route(OTHER, goodbye);
    let _: Router = Router::new().on(text);
    let _: Router = Router::new().route(OTHER, |_: Hub, _: String| ());
}
