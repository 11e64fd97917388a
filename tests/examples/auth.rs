//! Admission and permissions in the example `auth`.

use std::time::Duration;

use veltix::testing::{TestClient, TestServer};
use veltix::{ClientConfig, ClientStatus, CloseReason, Event, Message, Msg, RequestError, Router};

use super::soon;

#[path = "../../examples/auth/app.rs"]
mod app;

use app::{
    Accounts, App, Denied, Kick, Kicked, Refused, Roster, Token, Welcome, WhoAreYou, WhoIsHere,
    router,
};

fn app() -> App {
    let accounts = Accounts::of([("a", "ann", true), ("b", "bob", false)]);
    App { accounts, ..App::default() }
}

/// One that is asked for its token by a message, as Python clients are.
async fn joins(server: &TestServer, name: &str, token: &'static str) -> TestClient {
    let token = move |Msg(_): Msg<WhoAreYou>| Token { token: token.into() };
    server.client_with(name, ClientConfig::default(), Router::new().on(token)).await
}

/// One that was let in by the token of its handshake.
async fn enters(server: &TestServer, name: &str, token: &'static str) -> TestClient {
    let config = ClientConfig::default().token(token);
    let mut client = server.client_with(name, config, Router::new()).await;
    client.expect_message(&Welcome { user: name.into() }).await;
    client
}

#[tokio::test]
async fn who_has_a_token_is_let_in_and_listed_by_name() {
    let server = TestServer::start(router(app())).await;
    let ann = enters(&server, "ann", "a").await;
    // A Python client gets in as well.
    let mut bob = joins(&server, "bob", "b").await;
    bob.expect_message(&Welcome { user: "bob".into() }).await;
    let Roster { users } = ann.request(&WhoIsHere).await;
    assert_eq!(users, ["ann", "bob"]);
}

#[tokio::test]
async fn who_has_none_is_told_why_and_never_listed() {
    let server = TestServer::start(router(app())).await;
    let mut events = server.hub().events();
    let mut eve = joins(&server, "eve", "guessed").await;
    eve.expect_message(&Refused { reason: "nobody has this token".into() }).await;
    assert_eq!(soon(eve.client().peer().closed()).await.reason, CloseReason::PeerClosed);
    let first = soon(events.next()).await;
    let Some(Event::Refused { reason, .. }) = first else { panic!("{first:?}") };
    assert_eq!(reason, "nobody has this token");
}

#[tokio::test]
async fn nothing_is_handled_before_the_token_is_known() {
    let server = TestServer::start(router(app())).await;
    // It asks before it has said who it is, which it does after a while.
    let say_late = async |Msg(_): Msg<WhoAreYou>| {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Token { token: "guessed".into() }
    };
    let eve = server.client_with("eve", ClientConfig::default(), Router::new().on(say_late)).await;
    let answer = eve.client().request(&WhoIsHere).await;
    assert!(matches!(answer, Err(RequestError::ConnectionLost)), "{answer:?}");
}

#[tokio::test]
async fn who_does_not_say_is_refused() {
    let server = TestServer::start(router(app())).await;
    let mut events = server.hub().events();
    let silent = server.client("silent").await;
    let mut status = silent.client().status();
    server.advance(Duration::from_secs(4)).await;
    assert!(!silent.client().peer().is_closed());
    server.advance(Duration::from_secs(2)).await;
    let _ = soon(status.wait_for(|status| *status != ClientStatus::Connected)).await;
    let refused = soon(events.next()).await;
    assert!(matches!(refused, Some(Event::RequestTimedOut { .. })), "{refused:?}");
    assert!(matches!(soon(events.next()).await, Some(Event::Refused { .. })));
}

#[tokio::test]
async fn only_an_admin_kicks() {
    let app = app();
    let server = TestServer::start(router(app.clone())).await;
    server.allow_failures();
    let ann = enters(&server, "ann", "a").await;
    let bob = enters(&server, "bob", "b").await;
    let at_server = server.peer(&bob);

    let kick = |user: &str| Kick { user: user.into() };
    let denied = bob.client().request(&kick("ann")).await;
    let Err(RequestError::Remote(Denied { reason })) = denied else { panic!("{denied:?}") };
    assert_eq!(reason, "bob is no admin");
    assert!(app.journal.lines().is_empty());

    let Kicked { connections } = ann.request(&kick("bob")).await;
    assert_eq!(connections, 1);
    let reason = CloseReason::ClosedFor("kicked by ann".into());
    assert_eq!(soon(at_server.closed()).await.reason, reason);
    assert_eq!(app.journal.lines(), ["ann kicked bob (1)"]);

    let oneself = ann.client().request(&kick("ann")).await;
    assert!(matches!(oneself, Err(RequestError::Remote(_))), "{oneself:?}");
}

/// A message that cannot be read as a `Kick` is answered too, with the text of the rejection.
#[tokio::test]
async fn a_body_that_cannot_be_read_is_denied() {
    use veltix::typed::TypedMessage;

    let server = TestServer::start(router(app())).await;
    let ann = enters(&server, "ann", "a").await;
    let answer = ann.request(&Message::from_text(Kick::TYPE, "not JSON")).await;
    assert_eq!(answer.code(), Denied::TYPE.code());
}
