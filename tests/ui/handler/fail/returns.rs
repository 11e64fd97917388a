//! Return values that are no replies.

use std::rc::Rc;

use veltix::{MessageType, Msg, Router};

#[veltix::message]
enum Rooms {
    #[message(code = 200, reply = Roster, error = Fault)]
    Who { room: String },
    #[message(code = 201)]
    Roster { names: Vec<String> },
    #[message(code = 202)]
    Fault,
    #[message(code = 203)]
    Say { text: String },
}

const OTHER: MessageType = MessageType::new(204, "other", "");

async fn without_from_rejection(Msg(who): Msg<Who>) -> Result<Roster, Fault> {
    Err(Fault)
}

async fn wrong_reply(Msg(say): Msg<Say>) -> u32 {
    1
}

async fn no_error(Msg(say): Msg<Say>) -> Result<(), u32> {
    Ok(())
}

async fn not_send(Msg(say): Msg<Say>) {
    let text = Rc::new(say.text);
    std::future::ready(()).await;
    drop(text);
}

fn plain() -> u32 {
    1
}

fn main() {
    let _: Router = Router::new().on(without_from_rejection);
    let _: Router = Router::new().on(wrong_reply);
    let _: Router = Router::new().on(no_error);
    let _: Router = Router::new().on(not_send);
    let _: Router = Router::new().route(OTHER, plain);
    let _: Router = Router::new().on_connect(|| "hello");
    let _: Router = Router::new().route(OTHER, "not a function");
}
