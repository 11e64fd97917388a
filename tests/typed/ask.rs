//! How an answer is decoded: as the reply, as the error, or as neither.

use std::convert::Infallible;

use veltix::BodyError;
use veltix::typed::{AnswerError, Ask};

use super::*;

#[test]
fn the_reply_and_the_error_are_told_apart_by_their_codes() {
    assert_eq!(Who::ANSWERS, [205, 206]);
    let body = r#"{"room": "lobby", "names": ["ann", "bob"]}"#;
    assert_eq!(Who::read(received(205, body), ROOM).unwrap(), roster());
    let error = Who::read(received(206, r#"{"room": "attic"}"#), ROOM).unwrap_err();
    let AnswerError::Remote(error) = error else { panic!("{error:?}") };
    assert_eq!(error.room, "attic");
}

#[test]
fn any_other_code_is_unexpected() {
    let error = Who::read(received(204, "{}"), ROOM).unwrap_err();
    assert!(matches!(error, AnswerError::Unexpected { code: 204, expected: 205 }), "{error:?}");
    let error = Nudge::read(received(205, ""), ROOM).unwrap_err();
    assert!(matches!(error, AnswerError::Unexpected { code: 205, expected: 203 }), "{error:?}");
}

#[test]
fn an_answer_that_cannot_be_read_says_why() {
    for code in [205, 206] {
        let error = Who::read(received(code, "[]"), ROOM).unwrap_err();
        assert!(matches!(error, AnswerError::Body(BodyError::Json(_))), "{error:?}");
        let error = Who::read(received(code, "[]"), 1).unwrap_err();
        let limit = AnswerError::Body(BodyError::TooLarge { size: 2, limit: 1 });
        assert_eq!(format!("{error:?}"), format!("{:?}", limit as AnswerError<NoSuchRoom>));
    }
}

#[test]
fn a_reply_may_come_without_an_error_of_its_own() {
    assert_eq!(Nudge::ANSWERS, [203]);
    let reply: Result<Typing, AnswerError<Infallible>> = Nudge::read(received(203, "?"), ROOM);
    assert!(reply.is_ok());
}

#[test]
fn a_message_that_names_no_reply_takes_whatever_comes() {
    assert_eq!((Say::ANSWERS, Chat::ANSWERS), (&[][..], &[][..]));
    for code in [0, 205, 999] {
        let answer = received(code, "whatever");
        assert_eq!(Say::read(answer.clone(), 0).unwrap(), answer);
        assert_eq!(Chat::read(answer.clone(), 0).unwrap(), answer);
        assert_eq!(Roster::read(answer.clone(), 0).unwrap(), answer);
    }
}

#[veltix::message]
enum Plain {
    Ping = 300,
}

#[test]
fn a_type_without_bodies_can_be_asked_too() {
    assert_eq!((Plain::ANSWERS, <&Plain as Ask>::ANSWERS), (&[][..], &[][..]));
    let answer = received(301, "");
    assert_eq!(Plain::read(answer.clone(), 0).unwrap(), answer);
    assert_eq!(Plain::Ping.code(), 300);
}
