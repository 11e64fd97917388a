//! Errors of handlers: any error type, reported with its causes, after which the connection
//! continues.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use anyhow::Context as _;
use veltix::{BoxError, Event, Message, RequestError, Router};

use super::{ask, failure};
use crate::promises::paused;
use crate::support::{ECHO, OTHER, World, until};

#[derive(Debug)]
struct Own {
    cause: Option<BoxError>,
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the order was not placed")
    }
}

impl Error for Own {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}

/// Checks that the handler fails with this text, its peer stays connected, and no reply is sent.
async fn check_failure(router: Router, expected: &str) {
    let world = World::new(router.route(ECHO, || "echo"));
    let mut events = world.hub.events();
    let (mut raw, peer) = world.join().await;
    raw.send(OTHER.code(), 5, "7").await.expect("the server reads");
    assert_eq!(failure(&mut events).await, expected);
    let next = ask(&mut raw, ECHO.code(), "").await;
    assert_eq!((next.id().value(), peer.stats().received.handled), (7, 2));
}

#[test]
fn every_kind_of_error_can_be_returned() {
    paused(async {
        let own = || Err::<(), _>(Own { cause: None });
        check_failure(Router::new().route(OTHER, own), "the order was not placed").await;
        let own = async || Err::<String, _>(Own { cause: None });
        check_failure(Router::new().fallback(own), "the order was not placed").await;
        let boxed = async || -> Result<(), Box<dyn Error + Send + Sync>> { Err("no".into()) };
        check_failure(Router::new().route(OTHER, boxed), "no").await;
        let text = || Err::<(), _>("just a text");
        check_failure(Router::new().route(OTHER, text), "just a text").await;
        async fn question_mark(message: Message) -> anyhow::Result<String> {
            let number: u8 = message.text()?.parse()?;
            anyhow::ensure!(number == 8, "{number} is not eight");
            Ok("eight".to_owned())
        }
        check_failure(Router::new().route(OTHER, question_mark), "7 is not eight").await;
    });
}

#[test]
fn an_error_is_told_with_its_causes() {
    paused(async {
        let own = || Err::<(), _>(Own { cause: Some("the shop is closed".into()) });
        let text = "the order was not placed: the shop is closed";
        check_failure(Router::new().route(OTHER, own), text).await;
        async fn deep() -> anyhow::Result<()> {
            Err(Own { cause: Some("no key".into()) }).context("buying").context("shopping")
        }
        let text = "shopping: buying: the order was not placed: no key";
        check_failure(Router::new().route(OTHER, deep), text).await;
        let answer = || {
            let unread = Message::empty(OTHER).json::<u8>().map(drop);
            unread.map_err(RequestError::<Infallible>::Body)
        };
        // The text and its causes fit into `LOGGED_CHARS` characters.
        let text = "the answer cannot be read: \
                the body is not the JSON that was expected: EOF while parsing a value at line 1 column 0";
        check_failure(Router::new().route(OTHER, answer), text).await;
    });
}

/// An error whose text repeats that of its cause, as many errors do.
#[test]
fn a_cause_that_the_error_tells_itself_is_not_told_twice() {
    paused(async {
        #[derive(Debug)]
        struct Repeats(Own);
        impl fmt::Display for Repeats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "failed: {}", self.0)
            }
        }
        impl Error for Repeats {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let repeats = || Err::<(), _>(Repeats(Own { cause: Some("late".into()) }));
        let text = "failed: the order was not placed: late";
        check_failure(Router::new().route(OTHER, repeats), text).await;
    });
}

#[test]
fn an_error_that_misbehaves_is_told_all_the_same() {
    paused(async {
        #[derive(Debug)]
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("endless")
            }
        }
        impl Error for Endless {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }
        check_failure(Router::new().route(OTHER, || Err::<(), _>(Endless)), "endless").await;
        #[derive(Debug)]
        struct Panics;
        impl fmt::Display for Panics {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("planned, and caught")
            }
        }
        impl Error for Panics {}
        let panics = || Err::<(), _>(Panics);
        check_failure(Router::new().route(OTHER, panics), "an error whose text panics").await;
    });
}

#[test]
fn on_connect_and_on_disconnect_fail_likewise() {
    paused(async {
        let refuse = || Err::<(), _>(Own { cause: Some("on a list".into()) });
        let world = World::new(Router::new().on_connect(refuse));
        let mut events = world.hub.events();
        let mut raw = world.raw().await;
        let refused = |event| match event {
            Event::Refused { reason, .. } => Some(reason),
            _ => None,
        };
        let told = until(&mut events, refused).await;
        assert_eq!(told, "the order was not placed: on a list");
        assert!(raw.next().await.is_err());
        let goodbye = async || Err::<(), _>(anyhow::anyhow!("no goodbye"));
        let world = World::new(Router::new().on_disconnect(goodbye));
        let mut events = world.hub.events();
        drop(world.raw().await);
        assert_eq!(failure(&mut events).await, "no goodbye");
    });
}
