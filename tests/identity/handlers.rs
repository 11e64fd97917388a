//! Identities as handler arguments.

use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;
use veltix::{Event, Identity, Message, Peer, Router, Text};

use super::{User, authenticate, known};
use crate::support::{ECHO, OTHER, World, until};

#[tokio::test]
async fn handlers_take_it_from_on_connect_to_on_disconnect() {
    let (told, mut tells) = unbounded_channel();
    let tell = move |when: &'static str| {
        let told = told.clone();
        move |Identity(user): Identity<User>| {
            told.send((when, user.name.clone())).expect("the test listens");
        }
    };
    let router = Router::new()
        .authenticate(authenticate)
        .on_connect(tell("on_connect"))
        .route(ECHO, tell("a message"))
        .on_disconnect(tell("on_disconnect"));
    let world = World::new(router);
    let client = world.client_with(known(), Router::new()).await;
    client.send(&Message::from_text(ECHO, "")).await.expect("it is connected");
    let peer = tells.recv().await.map(|_| world.newest()).expect("it is connected");
    client.close().await;
    for when in ["a message", "on_disconnect"] {
        assert_eq!(tells.recv().await, Some((when, "ann".to_owned())));
    }
    peer.closed().await;
    assert_eq!(peer.identity::<User>(), None, "no identity outlives the connection");
}

#[tokio::test]
async fn it_is_optional_where_the_handler_says_so() {
    async fn who(user: Option<Identity<User>>) -> String {
        user.map_or_else(|| "nobody".to_owned(), |user| user.name.clone())
    }
    async fn must(user: Identity<User>) -> String {
        user.name.clone()
    }
    let router = Router::new().route(ECHO, who).route(OTHER, must);
    let world = World::new(router);
    let mut events = world.hub.events();
    let client = world.client(Router::new()).await;
    let answer = client.request(&Message::from_text(ECHO, "")).await.expect("it is answered");
    assert_eq!(answer.text().expect("it is text"), "nobody");
    client.send(&Message::from_text(OTHER, "")).await.expect("it is connected");
    let rejected = |event| match event {
        Event::Rejected { reason, .. } => Some(reason),
        _ => None,
    };
    let reason = until(&mut events, rejected).await;
    assert!(reason.contains("User") && reason.contains("authenticate"), "{reason}");
}

#[tokio::test]
async fn what_is_attached_never_takes_its_place() {
    let attach = |peer: Peer, Text(name): Text| {
        peer.attach(User { name: name.clone() });
        peer.attach(Arc::new(User { name }));
        peer.detach::<User>();
        peer.identity::<User>().map_or_else(String::new, |user| user.name.clone())
    };
    let world = World::new(Router::new().authenticate(authenticate).route(ECHO, attach));
    let client = world.client_with(known(), Router::new()).await;
    let answer =
        client.request(&Message::from_text(ECHO, "mallory")).await.expect("it is answered");
    assert_eq!(answer.text().expect("it is text"), "ann");
}
