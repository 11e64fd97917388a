#![allow(unused)]

use veltix::{Json, Message, Msg};

#[veltix::message]
enum Rooms {
    #[message(code = 200, reply = Roster)]
    Who { room: String },
    #[message(code = 201)]
    Roster { names: Vec<String> },
    #[message(code = 202, reply = Roster, error = Refused)]
    Ask,
    #[message(code = 203)]
    Refused { why: String },
}

struct Failure;

#[veltix::debug_handler]
async fn number(message: Message) -> u32 {
    1
}

#[veltix::debug_handler]
async fn failure(message: Message) -> Result<String, Failure> {
    Err(Failure)
}

#[veltix::debug_handler]
async fn no_reply(Msg(who): Msg<Who>) {}

#[veltix::debug_handler]
async fn other_reply(Msg(who): Msg<Who>) -> Json<u8> {
    Json(1)
}

#[veltix::debug_handler]
fn untold(Msg(ask): Msg<Ask>) -> Roster {
    Roster { names: vec![] }
}

#[veltix::debug_handler(on_connect)]
async fn connect() -> String {
    String::new()
}

fn main() {}
