//! `from_errors`: the errors of Veltix, and of others, in a handler with a declared error.

use futures::FutureExt;
use veltix::client::{NotConnected, RestoreError};
use veltix::future::TakeOverError;
use veltix::{
    BindError, BodyError, ConnectError, EncodeError, Event, Message, Msg, Peer, Rejection,
    RequestError, Router, SendError, ServeError, TagError, TargetError, TlsConfigError,
};

use crate::promises::paused;
use crate::support::World;

#[veltix::message]
enum Shop {
    #[message(code = 300, reply = Bought, error = NotBought)]
    Buy { item: String },
    #[message(code = 301)]
    Bought,
    #[message(code = 302, from_errors, derive(PartialEq))]
    NotBought { why: String },
}

impl From<veltix::Error> for NotBought {
    fn from(error: veltix::Error) -> Self {
        Self { why: error.to_string() }
    }
}

impl From<&Rejection> for NotBought {
    fn from(rejection: &Rejection) -> Self {
        Self { why: rejection.to_string() }
    }
}

impl From<std::num::ParseIntError> for NotBought {
    fn from(error: std::num::ParseIntError) -> Self {
        Self { why: error.to_string() }
    }
}

async fn buy(peer: Peer, Msg(buy): Msg<Buy>) -> Result<Bought, NotBought> {
    match &*buy.item {
        "name" => drop(peer.set_tag(("n".repeat(1_000), "too long"))?),
        "call" => _ = peer.request(&buy).await?,
        "body" => drop(Message::from_text(Shop::TYPES[0], "{").json::<u8>()?),
        number => drop(number.parse::<u8>()?),
    }
    Ok(Bought)
}

/// Each error that `veltix::Error` holds is converted, except that of the standard library.
const _: () = {
    const fn converts<E>()
    where
        NotBought: From<E>,
    {
    }
    converts::<BindError>();
    converts::<BodyError>();
    converts::<ConnectError>();
    converts::<EncodeError>();
    converts::<NotConnected>();
    converts::<RequestError<NotBought>>();
    converts::<RestoreError>();
    converts::<SendError>();
    converts::<ServeError>();
    converts::<TagError>();
    converts::<TakeOverError>();
    converts::<TargetError>();
    converts::<TlsConfigError>();
};

#[test]
fn a_question_mark_answers_with_the_declared_error() {
    paused(async {
        let world = World::new(Router::new().on(buy));
        // The client's own handler refuses the call of the server's handler.
        let refuse = |Msg(_): Msg<Buy>| Err(NotBought { why: "nobody sells it".to_owned() });
        let client = world.client(Router::new().on(refuse)).await;
        let mut events = world.hub.events();
        for (item, why) in [
            ("name", "the tag's name has 1000 bytes"),
            ("call", "nobody sells it"),
            ("body", "the body is not the JSON that was expected"),
            ("a word", "invalid digit"),
        ] {
            let answer = client.request(&Buy { item: item.to_owned() }).await;
            let Err(RequestError::Remote(NotBought { why: told })) = answer else {
                panic!("{item}: {answer:?}")
            };
            assert!(told.contains(why), "{item}: {told}");
        }
        client.request(&Buy { item: "7".to_owned() }).await.unwrap();
        // Answers are not failures.
        let is_failure = |event: &Event| matches!(event, Event::HandlerFailed { .. });
        while let Some(Some(event)) = events.next().now_or_never() {
            assert!(!is_failure(&event), "{event:?}");
        }
        assert_eq!(world.newest().stats().received.handled, 6, "the answer to the call among them");
        let text = NotBought::from(SendError::Closed).why;
        assert_eq!(text, SendError::Closed.to_string());
    });
}
