//! Typed messages through a router and a connection.

use veltix::{ClientConfig, Msg, Rejection, RequestError, Router};

use super::*;
use crate::support::World;

impl From<&Rejection> for NoSuchRoom {
    fn from(rejection: &Rejection) -> Self {
        Self { room: rejection.to_string() }
    }
}

#[veltix::debug_handler]
async fn who(Msg(who): Msg<Who>) -> Result<Roster, NoSuchRoom> {
    match who.room.as_str() {
        "lobby" => Ok(roster()),
        _ => Err(NoSuchRoom { room: who.room }),
    }
}

#[veltix::debug_handler(fallback)]
fn others(Msg(chat): Msg<Chat>) -> Message {
    let said = format!("{:?}", chat.message_type().name());
    Message::from_text(Motd::TYPE, said)
}

fn world() -> World {
    World::new(Router::new().on(who).fallback(others))
}

#[tokio::test(start_paused = true)]
async fn a_question_gets_its_reply_or_its_error() {
    let client = world().client(Router::new()).await;
    let reply = client.request(&Who { room: "lobby".to_owned() }).await;
    assert_eq!(reply.unwrap(), roster());
    let refused = client.request(&Who { room: "attic".to_owned() }).await;
    let Err(RequestError::Remote(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.room, "attic");
}

#[tokio::test(start_paused = true)]
async fn the_whole_enum_is_sent_and_handled() {
    let client = world().client_with(ClientConfig::default(), Router::new()).await;
    let answer = client.request(&Chat::Scores(vec![])).await.unwrap();
    assert_eq!((answer.code(), answer.text().unwrap()), (201, r#""scores""#));
    let answer = client.request(&say()).await.unwrap();
    assert_eq!(answer.text().unwrap(), r#""say""#);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_read_is_answered_with_the_error() {
    let world = world();
    let mut raw = world.raw().await;
    raw.send(204, 7, "[]").await.unwrap();
    let answer = raw.next().await.unwrap();
    assert_eq!((answer.code(), answer.id().value()), (206, 7));
    let read = NoSuchRoom::from_message(answer, ROOM).unwrap();
    assert!(read.room.contains("JSON"), "{}", read.room);
}
