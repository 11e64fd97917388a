//! Arguments of handlers: each extractor in each position where it may stand.

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc::unbounded_channel;
use veltix::handler::{Context, FromContext, FromMessage, FromRef, MessageRef};
use veltix::{
    Client, ClientConfig, Disconnected, Event, Extension, Hub, Json, Message, Msg, Peer, Rejection,
    RequestId, Router, State, Text, all,
};

use super::typed::Note;
use super::{ask, check, rejection};
use crate::promises::paused;
use crate::support::{ECHO, OTHER, World, until};

#[derive(Clone)]
struct App {
    name: &'static str,
    number: Number,
}

#[derive(Clone)]
struct Number(u32);

impl FromRef<App> for Number {
    fn from_ref(app: &App) -> Self {
        app.number.clone()
    }
}

const APP: App = App { name: "app", number: Number(42) };

/// A user-defined extractor, in place of the context.
struct Code(u16);

impl<S> FromContext<S> for Code {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        match cx.id().value() {
            9 => Err(Rejection::other("nine is not taken")),
            _ => Ok(Self(cx.code())),
        }
    }
}

/// A user-defined extractor of the body.
struct Shout(String);

impl FromMessage<App> for Shout {
    fn from_message(
        _: &Context<'_>,
        app: &App,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Ok(Self(format!("{}: {}", app.name, message.text()?.to_uppercase())))
    }
}

#[derive(Deserialize)]
struct Point {
    x: i32,
}

#[derive(Clone)]
struct Session(&'static str);

/// On the real clock: a paused clock would advance while the thread works.
#[tokio::test]
async fn a_blocking_handler_can_borrow_the_body() {
    let router = Router::new().route_blocking(OTHER, |text: &str| text.to_owned());
    check(router, "body", "body").await;
}

#[test]
fn each_takes_its_part_of_the_message() {
    paused(async {
        let route = || Router::new();
        check(route().route(OTHER, |m: Message| m), "body", "body").await;
        check(route().route(OTHER, async |b: Bytes| b), "body", "body").await;
        check(route().route(OTHER, |b: &[u8]| b.to_vec()), "body", "body").await;
        check(route().route(OTHER, |t: &str| t.to_owned()), "body", "body").await;
        let borrow = |id: RequestId, Code(code): Code, t: &str| format!("{id} {code} {t}");
        check(route().route(OTHER, borrow), "body", "7 201 body").await;
        check(route().route(OTHER, |Text(t): Text| t), "body", "body").await;
        check(route().route(OTHER, |Json(p): Json<Point>| p.x.to_string()), r#"{"x": 3}"#, "3")
            .await;
        check(route().route(OTHER, |id: RequestId| id.to_string()), "", "7").await;
        check(route().route(OTHER, |Code(code): Code| code.to_string()), "", "201").await;
        check(route().route(OTHER, |peer: Peer| peer.id().to_string()), "", "1").await;
        check(
            route().route(OTHER, |hub: Hub| hub.count(all()).expect("a target").to_string()),
            "",
            "1",
        )
        .await;
        let app = || Router::new();
        let state = |State(app): State<App>| app.name;
        check(app().route(OTHER, state).with_state(APP), "", "app").await;
        let part = |State(Number(n)): State<Number>| n.to_string();
        check(app().route(OTHER, part).with_state(APP), "", "42").await;
        let own = |Shout(text): Shout| text;
        check(app().route(OTHER, own).with_state(APP), "hey", "app: HEY").await;
        check(app().fallback(own).with_state(APP), "hey", "app: HEY").await;
    });
}

/// A handler with eight arguments: each kind in a position before the last, and the body as the
/// last.
#[allow(clippy::too_many_arguments, reason = "the maximum number of arguments")]
async fn everything(
    hub: Hub,
    peer: Peer,
    State(app): State<App>,
    State(Number(number)): State<Number>,
    id: RequestId,
    Extension(session): Extension<Session>,
    Code(code): Code,
    Text(text): Text,
) -> String {
    let (name, session) = (app.name, session.0);
    let listed = hub.get(peer.id()).is_some();
    format!("{listed} {name} {number} {id} {session} {code} {text}")
}

#[test]
fn a_handler_may_have_eight_arguments() {
    paused(async {
        let router = Router::new()
            .on_connect(|peer: Peer| drop(peer.attach(Session("session"))))
            .route(OTHER, everything)
            .with_state(APP);
        check(router, "text", "true app 42 7 session 201 text").await;
    });
}

#[test]
fn functions_of_every_kind_are_handlers() {
    paused(async {
        fn plain(Text(text): Text) -> String {
            text
        }
        async fn asynchronous(Text(text): Text) -> String {
            text
        }
        check(Router::new().route(OTHER, plain), "a", "a").await;
        check(Router::new().route(OTHER, asynchronous), "a", "a").await;
        check(Router::new().fallback(plain), "a", "a").await;
        let captured = String::from("captured ");
        let closure = move |Text(text): Text| captured.clone() + &text;
        check(Router::new().route(OTHER, closure.clone()), "a", "captured a").await;
        let future = move |text: Text| {
            let closure = closure.clone();
            async move { closure(text) }
        };
        check(Router::new().route(OTHER, future), "a", "captured a").await;
    });
}

#[test]
fn an_option_is_none_where_the_argument_would_be_rejected() {
    paused(async {
        let session = |session: Option<Extension<Session>>, text: Option<Text>| {
            let session = session.map_or("none", |Extension(Session(name))| name);
            format!("{session} {}", text.map_or_else(|| "none".to_owned(), |Text(text)| text))
        };
        check(Router::new().route(OTHER, session), "a", "none a").await;
        let attach = |peer: Peer| drop(peer.attach(Session("session")));
        let world = World::new(Router::new().on_connect(attach).route(OTHER, session));
        let mut raw = world.raw().await;
        raw.send(OTHER.code(), 7, &b"\xff"[..]).await.unwrap();
        assert_eq!(raw.next().await.unwrap().text().unwrap(), "session none");
        let last = |session: Option<Extension<Session>>| session.is_some().to_string();
        check(Router::new().route(OTHER, last), "a", "false").await;
        let json = |point: Option<Json<Point>>| point.is_some().to_string();
        check(Router::new().route(OTHER, json), "{}", "false").await;
        let note = |note: Option<Msg<Note>>| note.is_some().to_string();
        check(Router::new().route(OTHER, note), "\"\"", "false").await;
        let always = |peer: Option<Peer>, body: Option<Bytes>| {
            (peer.is_some() && body.is_some()).to_string()
        };
        check(Router::new().route(OTHER, always), "", "true").await;
    });
}

#[test]
fn a_result_says_why() {
    paused(async {
        let context = |session: Result<Extension<Session>, Rejection>| match session {
            Err(Rejection::NotAttached { name }) => {
                name.rsplit("::").next().unwrap_or("").to_owned()
            }
            _ => "attached".to_owned(),
        };
        check(Router::new().route(OTHER, context), "", "Session").await;
        let own = |code: Result<Code, Rejection>, text: Result<Text, Rejection>| {
            let code = code.map_or_else(|error| error.to_string(), |Code(code)| code.to_string());
            format!("{code}, {}", text.map_or_else(|error| error.to_string(), |Text(text)| text))
        };
        let world = World::new(Router::new().route(OTHER, own));
        let mut raw = world.raw().await;
        raw.send(OTHER.code(), 9, &b"\xff"[..]).await.unwrap();
        let text = "nine is not taken, the body is not UTF-8 text";
        assert_eq!(raw.next().await.unwrap().text().unwrap(), text);
        let json = |point: Result<Json<Point>, Rejection>| matches!(point, Err(Rejection::Body(_)));
        check(
            Router::new().route(OTHER, move |p: Result<Json<Point>, _>| json(p).to_string()),
            "",
            "true",
        )
        .await;
    });
}

#[test]
fn a_rejection_that_the_handler_hands_on_is_its_error() {
    paused(async {
        let hands_on = |point: Result<Json<Point>, Rejection>| point.map(|Json(p)| p.x.to_string());
        let world = World::new(Router::new().route(OTHER, hands_on));
        let mut events = world.hub.events();
        let (mut raw, peer) = world.join().await;
        raw.send(OTHER.code(), 7, "{").await.unwrap();
        let told = super::failure(&mut events).await;
        assert!(told.starts_with("the body is not the JSON that was expected: EOF"), "{told}");
        assert_eq!(ask(&mut raw, OTHER.code(), r#"{"x": 1}"#).await.text().unwrap(), "1");
        let received = peer.stats().received;
        assert_eq!((received.handled, received.rejected), (2, 0));
    });
}

#[test]
fn an_extension_is_attached_replaced_and_detached() {
    paused(async {
        let change = |peer: Peer, Text(change): Text| match &*change {
            "attach" => drop(peer.attach(Session("new"))),
            "detach" => drop(peer.detach::<Session>()),
            _ => {}
        };
        let router = Router::new()
            .on_connect(|peer: Peer| assert!(peer.attach(Session("first")).is_none()))
            .route(ECHO, change)
            .route(OTHER, |Extension(Session(name)): Extension<Session>| name);
        let world = World::new(router);
        let mut events = world.hub.events();
        let (mut raw, peer) = world.join().await;
        assert_eq!(ask(&mut raw, OTHER.code(), "").await.text().unwrap(), "first");
        raw.send(ECHO.code(), 0, "attach").await.unwrap();
        assert_eq!(ask(&mut raw, OTHER.code(), "").await.text().unwrap(), "new");
        assert_eq!(peer.attach(Session("newer")).expect("it replaces one").0, "new");
        assert!(peer.attach(Number(1)).is_none(), "one of each type");
        raw.send(ECHO.code(), 0, "detach").await.unwrap();
        raw.send(OTHER.code(), 7, "").await.unwrap();
        let told = rejection(&mut events).await;
        assert!(told.contains("Session` is attached to the peer: attach it"), "{told}");
        assert!(peer.attached::<Session>().is_none() && peer.attached::<Number>().is_some());
        let other = world.raw().await;
        assert_eq!(world.newest().attached::<Session>().expect("one of its own").0, "first");
        assert_eq!(peer.stats().received.rejected, 1);
        drop(other);
    });
}

/// A value that holds its own peer, as sessions do, must not keep itself alive forever.
#[test]
fn what_is_attached_goes_with_the_connection() {
    paused(async {
        struct Own {
            _peer: Peer,
            dropped: tokio::sync::mpsc::UnboundedSender<&'static str>,
        }
        impl Drop for Own {
            fn drop(&mut self) {
                self.dropped.send("dropped").expect("the test listens");
            }
        }
        let (told, mut tells) = unbounded_channel();
        let dropped = told.clone();
        let attach = move |peer: Peer| {
            let own = Own { _peer: peer.clone(), dropped: dropped.clone() };
            peer.attach(std::sync::Arc::new(own));
        };
        let goodbye = move |own: Extension<std::sync::Arc<Own>>, _: Disconnected| {
            told.send("goodbye").expect("the test listens");
            drop(own);
        };
        let world = World::new(Router::new().on_connect(attach).on_disconnect(goodbye));
        let (raw, peer) = world.join().await;
        drop(raw);
        assert_eq!(tells.recv().await, Some("goodbye"), "still attached in on_disconnect");
        assert_eq!(tells.recv().await, Some("dropped"));
        assert!(peer.attach(Session("late")).is_none());
        assert!(peer.attached::<Session>().is_none(), "no value is kept after the end");
    });
}

#[test]
fn an_argument_that_on_disconnect_cannot_have_is_told() {
    paused(async {
        let goodbye = |_: Extension<Session>, _: Disconnected| {};
        let world = World::new(Router::new().on_disconnect(goodbye));
        let mut events = world.hub.events();
        drop(world.raw().await);
        assert!(rejection(&mut events).await.contains("attached"));
    });
}

#[test]
fn only_who_needs_a_hub_is_refused_by_a_client() {
    paused(async {
        let world = World::new(Router::new());
        let connect = async |router| {
            Client::connect_with(world.connector.clone(), ClientConfig::default(), router).await
        };
        let refused = connect(Router::new().route(OTHER, |_: Hub, _: Bytes| {})).await;
        let error = refused.expect_err("a client has no hub").to_string();
        assert!(error.contains("other") && error.contains("takes a `Hub`"), "{error}");
        let either = |hub: Option<Hub>, hub_or_why: Result<Hub, Rejection>| {
            assert!(matches!(hub_or_why, Err(Rejection::NoHub)));
            hub.is_none().to_string()
        };
        let _client = connect(Router::new().route(OTHER, either)).await.expect("it works on both");
        let answer = world.newest().request(&Message::empty(OTHER)).await.expect("an answer");
        assert_eq!(answer.text().unwrap(), "true");
    });
}

#[test]
fn a_peer_s_coming_and_going_take_all_but_the_body() {
    paused(async {
        let (told, mut tells) = unbounded_channel();
        let (came, went) = (told.clone(), told);
        let on_connect = move |hub: Hub,
                               State(app): State<App>,
                               id: RequestId,
                               session: Option<Extension<Session>>,
                               peer: Peer| {
            peer.attach(Session("session"));
            let (listed, none) = (hub.get(peer.id()).is_some(), session.is_none());
            came.send(format!("{listed} {} {id} {none}", app.name)).expect("the test listens");
        };
        let on_disconnect = move |hub: Hub,
                                  peer: Peer,
                                  State(Number(number)): State<Number>,
                                  Extension(Session(session)): Extension<Session>,
                                  Code(code): Code,
                                  outcome: Disconnected| {
            let listed = hub.get(peer.id()).is_some();
            let text = format!("{listed} {number} {session} {code} {}", outcome.reason);
            went.send(text).expect("the test listens");
        };
        let router = Router::new().on_connect(on_connect).on_disconnect(on_disconnect);
        let world = World::new(router.with_state(APP));
        drop(world.raw().await);
        assert_eq!(tells.recv().await.unwrap(), "false app 0 true");
        let text = "false 42 session 0 the peer closed the connection";
        assert_eq!(tells.recv().await.unwrap(), text);
    });
}

#[test]
fn an_argument_that_on_connect_cannot_have_refuses_the_peer() {
    paused(async {
        let world = World::new(Router::new().on_connect(async |_: Extension<Session>| {}));
        let mut events = world.hub.events();
        let mut raw = world.raw().await;
        let refused = |event| match event {
            Event::Refused { reason, .. } => Some(reason),
            _ => None,
        };
        assert!(until(&mut events, refused).await.contains("attached to the peer"));
        assert!(raw.next().await.is_err());
    });
}
