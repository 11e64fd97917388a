//! Handlers of typed messages, whose traits are implemented by hand here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt;
use serde::{Deserialize, Serialize};
use veltix::handler::MessageRef;
use veltix::typed::{AnswerError, Ask, NoError, NoReply, ToMessage, Told, Typed, TypedMessage};
use veltix::{
    BodyError, EncodeError, Message, MessageType, Msg, Peer, Rejection, RequestError, Router,
    ServerConfig, State, Text,
};
use veltix_core::typed::{body, read_reply, read_reply_or_error};

use super::{failure, rejection, seconds};
use crate::promises::paused;
use crate::support::{PIPE, World};

macro_rules! message {
    ($name:ident, $code:literal, $reply:ty, $error:ty) => {
        impl ToMessage for $name {
            fn to_message(&self) -> Result<Message, EncodeError> {
                Message::from_json(Self::TYPE, self)
            }
        }

        impl Typed for $name {
            fn from_message_ref(arrival: MessageRef<'_>, limit: usize) -> Result<Self, BodyError> {
                body::check(&arrival, $code, stringify!($name), limit)?;
                arrival.json()
            }
        }

        impl TypedMessage for $name {
            const TYPE: MessageType = MessageType::new($code, stringify!($name), "");
            type Reply = $reply;
            type Error = $error;
        }
    };
}

macro_rules! asks {
    ($name:ident, $reply:ty, $error:ty, [$($answer:literal),*], $read:expr) => {
        impl Ask for $name {
            type Reply = $reply;
            type Error = $error;
            const ANSWERS: &'static [u16] = &[$($answer),*];

            fn read(answer: Message, limit: usize) -> Result<$reply, AnswerError<$error>> {
                $read(answer, limit)
            }
        }
    };
}

/// A message without a reply.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note(pub(super) String);

/// A message whose reply is a [`Quotient`] or the reason why there is none.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Divide(pub(super) i32, pub(super) i32);

/// A message whose reply is a [`Quotient`]; the reason of a failure is not sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Half(i32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Quotient(pub(super) i32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Fault {
    ByZero,
    Unreadable(String),
}

message!(Note, 300, NoReply, NoError);
message!(Divide, 301, Quotient, Told<Fault>);
message!(Quotient, 302, NoReply, NoError);
message!(Fault, 303, NoReply, NoError);
message!(Half, 304, Quotient, NoError);
asks!(Note, Message, std::convert::Infallible, [], Message::read);
asks!(Divide, Quotient, Fault, [302, 303], read_reply_or_error);
asks!(Half, Quotient, std::convert::Infallible, [302], read_reply);

impl From<&Rejection> for Fault {
    fn from(rejection: &Rejection) -> Self {
        Self::Unreadable(rejection.to_string())
    }
}

fn divide(Msg(Divide(a, b)): Msg<Divide>) -> Result<Quotient, Fault> {
    a.checked_div(b).map(Quotient).ok_or(Fault::ByZero)
}

#[test]
fn the_declared_reply_is_what_the_asker_gets() {
    paused(async {
        async fn half(peer: Peer, Msg(Half(n)): Msg<Half>) -> Quotient {
            peer.ping().await.expect("a pong");
            Quotient(n / 2)
        }
        let world = World::new(Router::new().on(divide).on(half));
        let client = world.client(Router::new()).await;
        assert_eq!(client.request(&Divide(84, 2)).await.unwrap(), Quotient(42));
        assert_eq!(client.request(&Half(84)).await.unwrap(), Quotient(42));
        let answer =
            client.request(&Message::from_json(Divide::TYPE, &Divide(6, 3)).unwrap()).await;
        assert_eq!(answer.unwrap().code(), Quotient::TYPE.code(), "a reply has its own code");
    });
}

#[test]
fn a_declared_error_is_told_to_the_asker() {
    paused(async {
        let world = World::new(Router::new().on(divide));
        let client = world.client(Router::new()).await;
        let mut events = world.hub.events();
        let refused = client.request(&Divide(1, 0)).await;
        assert!(matches!(refused, Err(RequestError::Remote(Fault::ByZero))), "{refused:?}");
        // An answer is no failure.
        assert_eq!(events.next().now_or_never().map(|event| format!("{event:?}")), None);
        assert_eq!(world.newest().stats().received.handled, 1);
    });
}

/// Nobody hears an answer to a message that asks nothing, so the error is a failure.
#[test]
fn a_declared_error_that_cannot_be_told_is_a_failure() {
    paused(async {
        let world = World::new(Router::new().on(divide));
        let (mut raw, peer) = world.join().await;
        let mut events = world.hub.events();
        // An answer to a message of the server that asked nothing.
        let plain = veltix_core::IdSpace::server().plain().value();
        raw.send(Divide::TYPE.code(), plain, "[1,0]").await.unwrap();
        let text = failure(&mut events).await;
        assert!(text.contains("asks for no answer"), "{text}");
        let received = peer.stats().received;
        assert_eq!((received.handled, received.replies_discarded), (1, 1));
        assert_eq!(peer.stats().sent.accepted, 0, "the peer hears nothing");
    });
}

#[test]
fn a_rejection_is_told_too_where_the_error_can_say_it() {
    paused(async {
        let world = World::new(Router::new().on(divide));
        let mut events = world.hub.events();
        let client = world.client(Router::new()).await;
        let answer = client.request(&Message::from_text(Divide::TYPE, "[1")).await.unwrap();
        let text = "the body is not the JSON that was expected";
        assert_eq!(answer.json::<Fault>().unwrap(), Fault::Unreadable(text.to_owned()));
        assert_eq!(answer.code(), Fault::TYPE.code());
        assert!(rejection(&mut events).await.starts_with(text));
        // A sender that did not call receives no frame that it would take for an answer.
        assert_eq!(world.newest().stats().received.rejected, 1);
    });
}

#[test]
fn without_a_declared_error_the_asker_runs_into_its_timeout() {
    paused(async {
        let fail = |_: Msg<Half>| Err::<Quotient, _>("not today");
        let world = World::new(Router::new().on(fail));
        let mut events = world.hub.events();
        let client = world.client(Router::new()).await;
        let start = tokio::time::Instant::now();
        let refused = client.request(&Half(1)).timeout(seconds(2)).await;
        assert!(matches!(refused, Err(RequestError::Timeout { .. })), "{refused:?}");
        assert_eq!(start.elapsed(), seconds(2));
        assert_eq!(failure(&mut events).await, "not today");
    });
}

#[test]
fn what_asks_nothing_is_not_answered() {
    paused(async {
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        let note = move |State(prefix): State<&'static str>, Msg(note): Msg<Note>| {
            told.send(format!("{prefix}{}", note.0)).map_err(|_| "nobody listens")
        };
        let world = World::new(Router::new().on(note).with_state("note: "));
        let client = world.client(Router::new()).await;
        client.send(&Note("hello".to_owned())).await.unwrap();
        assert_eq!(tells.recv().await.unwrap(), "note: hello");
        let asked = client.request(&Note("anybody?".to_owned())).timeout(seconds(1)).await;
        assert!(matches!(asked, Err(RequestError::Timeout { .. })), "{asked:?}");
    });
}

#[test]
fn an_answer_that_was_not_asked_for_is_an_error_of_the_call() {
    paused(async {
        let answer_with =
            |message: Message| Router::new().route(Divide::TYPE, move || message.clone());
        let ask = async |message| {
            let world = World::new(answer_with(message));
            let client = world.client(Router::new()).await;
            client.request(&Divide(4, 2)).await.expect_err("no quotient")
        };
        let error = ask(Message::from_text(Note::TYPE, "2")).await;
        assert!(
            matches!(error, RequestError::UnexpectedReply { code: 300, expected: 302 }),
            "{error:?}"
        );
        let error = ask(Message::from_text(Quotient::TYPE, "two")).await;
        assert!(matches!(error, RequestError::Body(BodyError::Json(_))), "{error:?}");
        let error = ask(Message::from_text(Fault::TYPE, "\"Unknown\"")).await;
        assert!(matches!(error, RequestError::Body(BodyError::Json(_))), "{error:?}");
    });
}

#[test]
fn a_body_over_the_limit_is_rejected_before_it_is_parsed() {
    paused(async {
        let note = |Msg(note): Msg<Note>| -> () { panic!("it was parsed: {}", note.0.len()) };
        let config = ServerConfig::default().max_typed_body(100);
        let world = World::with(config, PIPE, Router::new().on(note));
        let mut events = world.hub.events();
        let client = world.client(Router::new()).await;
        // The body is not even JSON: only its size is checked.
        client.send(&Message::from_text(Note::TYPE, "x".repeat(101))).await.unwrap();
        let told = rejection(&mut events).await;
        assert!(told.starts_with("the body of 101 bytes is over max_typed_body (100)"), "{told}");
        // An answer is checked against the limit of the side that called.
        let reply = |_: Message| Message::from_text(Quotient::TYPE, "1".repeat(200));
        let peer = world.newest();
        let client = world.client(Router::new().route(Half::TYPE, reply)).await;
        let error = world.newest().request(&Half(1)).await.expect_err("too large");
        let too_large = BodyError::TooLarge { size: 200, limit: 100 };
        assert!(matches!(&error, RequestError::Body(e) if e.to_string() == too_large.to_string()));
        drop((client, peer));
    });
}

#[test]
fn typed_messages_are_arguments_of_other_routes_too() {
    paused(async {
        let echo = |Msg(Note(text)): Msg<Note>| text;
        let world = World::new(Router::new().route(Note::TYPE, echo));
        let client = world.client(Router::new()).await;
        let question = Note("hello".to_owned());
        assert_eq!(client.request(&question).await.unwrap().text().unwrap(), "hello");
        let world = World::new(Router::new().fallback(echo));
        let mut events = world.hub.events();
        let client = world.client(Router::new()).await;
        assert_eq!(client.request(&question).await.unwrap().text().unwrap(), "hello");
        client.send(&Half(1)).await.unwrap();
        let told = rejection(&mut events).await;
        assert_eq!(told, "the message has code 304, which is not that of Note");
    });
}

#[test]
fn what_is_not_there_or_cannot_be_read_may_be_taken_as_such() {
    paused(async {
        let maybe = |note: Option<Msg<Note>>| assert!(note.is_none());
        let why = |half: Result<Msg<Half>, Rejection>| match half {
            Ok(Msg(Half(n))) => Quotient(n / 2),
            Err(_) => Quotient(-1),
        };
        let world = World::new(Router::new().on(maybe).on(why));
        let client = world.client(Router::new()).await;
        client.send(&Message::from_text(Note::TYPE, "{")).await.unwrap();
        let asked = Message::from_text(Half::TYPE, "{");
        assert_eq!(client.request(&asked).await.unwrap().json::<Quotient>().unwrap(), Quotient(-1));
        assert_eq!(world.newest().stats().received.handled, 2);
    });
}

/// On the real clock: a paused clock would run ahead of the pool's threads.
#[tokio::test]
async fn a_blocking_one_answers_alike() {
    let world = World::new(Router::new().on_blocking(divide));
    let client = world.client(Router::new()).await;
    assert_eq!(client.request(&Divide(84, 2)).await.unwrap(), Quotient(42));
    let refused = client.request(&Divide(1, 0)).await;
    assert!(matches!(refused, Err(RequestError::Remote(Fault::ByZero))), "{refused:?}");
    let unread = client.request(&Message::from_text(Divide::TYPE, "")).await.unwrap();
    assert_eq!(unread.code(), Fault::TYPE.code());
}

/// Each call works on a clone of the closure, so what it captures may be shared or taken.
#[test]
fn an_async_closure_may_capture() {
    paused(async {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let taken = vec![1, 2, 3];
        let half = async move |peer: Peer, Msg(Half(n)): Msg<Half>| {
            peer.ping().await.expect("a pong");
            counted.fetch_add(1, Ordering::Relaxed);
            Quotient(n / 2)
        };
        let sum = move || async move {
            let sum: i32 = taken.into_iter().sum();
            sum.to_string()
        };
        let world = World::new(Router::new().on(half).route(super::OTHER, sum));
        let client = world.client(Router::new()).await;
        for n in 1..=3 {
            assert_eq!(client.request(&Half(2 * n)).await.unwrap(), Quotient(n));
            let answer = client.request(&Message::empty(super::OTHER)).await.unwrap();
            assert_eq!(answer.text().unwrap(), "6");
        }
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn handlers_of_typed_messages_have_options_too() {
    paused(async {
        let slow = |Msg(Half(n)): Msg<Half>| async move {
            tokio::time::sleep(seconds(u64::try_from(n).unwrap())).await;
            Quotient(n / 2)
        };
        use veltix::handler::Handler as _;
        let router = Router::new().on(slow.concurrent(2).timeout(seconds(6)));
        let world = World::new(router.route(super::OTHER, |Text(text): Text| text));
        let client = world.client(Router::new()).await;
        let start = tokio::time::Instant::now();
        let (four, two) = tokio::join!(client.request(&Half(4)), client.request(&Half(2)));
        assert_eq!((four.unwrap(), two.unwrap()), (Quotient(2), Quotient(1)));
        assert_eq!(start.elapsed(), seconds(4), "at once");
    });
}
