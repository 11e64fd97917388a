//! Valid handlers pass each check.

#![deny(warnings)]

use std::convert::Infallible;
use std::future::Future;

use veltix::handler::FromRef;
use veltix::{Disconnected, Hub, Json, Message, Msg, Peer, Rejection, RequestId, Router, State, Text};

#[veltix::message]
enum Rooms {
    #[message(code = 200, reply = Roster, error = Refused)]
    Who { room: String },
    #[message(code = 201)]
    Roster { names: Vec<String> },
    #[message(code = 202)]
    Refused { why: String },
}

impl From<&Rejection> for Refused {
    fn from(rejection: &Rejection) -> Self {
        Self { why: rejection.to_string() }
    }
}

#[derive(Clone)]
struct App {
    db: Db,
}

#[derive(Clone)]
struct Db;

impl FromRef<App> for Db {
    fn from_ref(app: &App) -> Self {
        app.db.clone()
    }
}

#[veltix::debug_handler]
async fn nothing() {}

#[veltix::debug_handler]
fn borrows(_peer: Peer, text: &str) -> String {
    text.to_uppercase()
}

#[veltix::debug_handler]
fn looks(_bytes: &[u8]) {}

#[veltix::debug_handler]
async fn all(_hub: Hub, peer: Peer, _id: RequestId, message: Message) -> Result<Message, Infallible> {
    let _ = peer.ping().await;
    Ok(message)
}

#[veltix::debug_handler]
fn plain(State(_db): State<Db>, Text(text): Text) -> String {
    text
}

#[veltix::debug_handler(state = App)]
async fn part_of(State(_db): State<Db>, State(_app): State<App>, json: Option<Json<u8>>) {
    let _ = json;
}

#[veltix::debug_handler]
async fn who(Msg(who): Msg<Who>) -> Result<Roster, Refused> {
    if who.room.is_empty() {
        return Err(Refused { why: "no room".into() });
    }
    Ok(Roster { names: vec![] })
}

#[veltix::debug_handler]
fn maybe(roster: Result<Msg<Roster>, Rejection>) {
    let _ = roster.map(|Msg(roster)| roster.names);
}

#[veltix::debug_handler(fallback)]
async fn whole(Msg(rooms): Msg<Rooms>) -> &'static str {
    drop(rooms);
    "?"
}

#[veltix::debug_handler(on_connect)]
async fn connect(mut _peer: Peer) -> Result<(), Infallible> {
    Ok(())
}

#[veltix::debug_handler]
async fn disconnect(_peer: Peer, _how: Disconnected) {}

#[veltix::debug_handler(crate = ::veltix)]
fn future(_peer: Peer) -> impl Future<Output = String> + Send {
    async { String::new() }
}

fn main() {
    let router: Router<()> = Router::new()
        .on_connect(connect)
        .on_disconnect(disconnect)
        .on(who)
        .on(maybe)
        .route(veltix::MessageType::new(300, "nothing", ""), nothing)
        .route(veltix::MessageType::new(301, "all", ""), all)
        .route(veltix::MessageType::new(303, "part_of", ""), part_of)
        .route(veltix::MessageType::new(304, "future", ""), future)
        .fallback(whole)
        .with_state(App { db: Db });
    let other: Router<()> = Router::new().fallback(plain).with_state(Db);
    drop((router, other));
}
