#![allow(unused)]

use veltix::{Json, Message, Msg, Peer, State, Text};

struct Db;

#[veltix::debug_handler]
async fn not_an_extractor(peer: Peer, number: u32, message: Message) {}

#[veltix::debug_handler]
async fn body_first(Text(text): Text, peer: Peer) {}

#[veltix::debug_handler]
fn last(peer: Peer, text: String) {}

#[veltix::debug_handler]
async fn not_json(Json(db): Json<Db>) {}

#[veltix::debug_handler(state = u8)]
async fn another_state(State(db): State<Db>) {}

#[veltix::debug_handler]
async fn nine(a: Peer, b: Peer, c: Peer, d: Peer, e: Peer, f: Peer, g: Peer, h: Peer, i: Peer) {}

#[veltix::debug_handler(on_connect)]
async fn no_message_yet(message: Message) {}

#[veltix::debug_handler]
async fn borrowed_for_long(text: &str) {}

#[veltix::debug_handler(on_connect)]
fn borrowed_too_early(text: &str) {}

#[veltix::debug_handler]
fn borrowed_for_ever(text: &'static str) {}

#[veltix::debug_handler]
fn not_borrowed(text: &u32) {}

#[veltix::message]
enum Rooms {
    #[message(code = 200, reply = Roster)]
    Who { room: String },
    #[message(code = 201)]
    Roster { names: Vec<String> },
}

#[veltix::debug_handler]
async fn message_first(Msg(who): Msg<Who>, peer: Peer) -> Roster {
    Roster { names: vec![who.room] }
}

fn main() {}
