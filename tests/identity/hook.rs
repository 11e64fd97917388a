//! What the hook sees, and what becomes of what it says.

use std::future::{Ready, pending, ready};
use std::io;

use tokio::time::Instant;
use veltix::transport::PeerAddr;
use veltix::{
    ClientConfig, ConfigError, ConnectError, HandshakeError, HandshakeFailure, HandshakeInfo,
    Refuse, Router, ServerConfig, all,
};

use super::{User, authenticate, failure, known, refused};
use crate::support::{NATIVE, PIPE, PYTHON, World, said};

fn world() -> World {
    World::new(Router::new().authenticate(authenticate))
}

#[tokio::test]
async fn who_is_known_is_let_in_and_who_is_not_is_told_why() {
    let world = world();
    let mut events = world.hub.events();
    for (config, told) in [
        (ClientConfig::default().token("marlin"), "the token is wrong"),
        (ClientConfig::default(), "this server lets nobody in without a token"),
    ] {
        match refused(&world, config).await {
            ConnectError::Handshake { source: HandshakeError::Refused { reason }, .. } => {
                assert_eq!(reason, told);
            }
            other => panic!("{other}"),
        }
        let reason = told.to_owned();
        assert_eq!(failure(&mut events).await, HandshakeFailure::Refused { reason });
    }
    assert_eq!(world.hub.count(all()), Ok(0));
    let client = world.client_with(known(), Router::new()).await;
    client.ping().await.expect("it is let in");
    let identity = world.newest().identity::<User>().expect("it is known");
    assert_eq!(identity.name, "ann");
    assert_eq!(client.peer().identity::<User>(), None, "a client asks nobody");
}

#[tokio::test]
async fn a_python_client_sees_the_connection_close_without_an_ack() {
    let world = world();
    let mut events = world.hub.events();
    let mut raw = world.silent().await;
    raw.shake_hands_saying(PYTHON).await.expect_err("it is refused");
    let reason = "this server lets nobody in without a token".to_owned();
    assert_eq!(failure(&mut events).await, HandshakeFailure::Refused { reason });
    assert_eq!(
        raw.read_more().await.map_err(|error| error.kind()),
        Err(io::ErrorKind::UnexpectedEof)
    );
}

#[tokio::test]
async fn what_the_hook_sees_is_what_the_peer_says() {
    let router = Router::new().authenticate(async |info: HandshakeInfo| {
        assert!(matches!(info.addr(), PeerAddr::Memory(_)));
        assert_eq!((info.version(), info.is_native()), ("0.1.0", true));
        assert!(info.meta().contains_key("veltix"));
        assert!(info.token().is_none());
        Ok::<_, Refuse>(())
    });
    let world = World::new(router);
    let mut raw = world.silent().await;
    raw.shake_hands_saying(NATIVE).await.expect("it is let in");
}

#[tokio::test]
async fn an_error_and_a_panic_close_without_a_word_and_are_told_here() {
    // What goes wrong inside is nobody's business outside, and may pass.
    let router = Router::new().authenticate(async |info: HandshakeInfo| {
        match info.token().map(|token| token.expose()) {
            Some("panic") => panic!("a bug"),
            Some("error") => Err(io::Error::other("no database"))?,
            _ => Ok::<_, Refuse>(()),
        }
    });
    let world = World::new(router);
    let mut events = world.hub.events();
    let expected = [
        ("panic", HandshakeFailure::Panicked { message: "a bug".to_owned() }),
        ("error", HandshakeFailure::Refused { reason: "no database".to_owned() }),
    ];
    for (token, expected) in expected {
        let error = refused(&world, ClientConfig::default().token(token)).await;
        let closed =
            matches!(&error, ConnectError::Handshake { source: HandshakeError::Closed, .. });
        assert!(closed && error.is_transient(), "{error}");
        assert_eq!(failure(&mut events).await, expected);
    }
    assert_eq!(world.hub.handler_panics(), 1);
    world.client_with(known(), Router::new()).await.ping().await.expect("others are let in");
}

#[tokio::test(start_paused = true)]
async fn the_handshakes_deadline_holds_for_the_hook_and_others_do_not_wait() {
    let router = Router::new().authenticate(async |info: HandshakeInfo| {
        if info.token().is_none() {
            pending::<()>().await;
        }
        Ok::<_, Refuse>(())
    });
    let world = World::with(ServerConfig::default().max_connections(1), PIPE, router);
    let mut events = world.hub.events();
    let mut stuck = world.silent().await;
    stuck.hear().await.expect("the server's hello");
    let begun = Instant::now();
    stuck.write(&said(NATIVE)).await.expect("the server reads");
    // It takes nobody's place either.
    let client = world.client_with(known(), Router::new()).await;
    client.ping().await.expect("it is let in");
    assert_eq!(failure(&mut events).await, HandshakeFailure::Timeout);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn a_client_has_no_hook() {
    let world = world();
    let router = Router::new().authenticate(authenticate);
    let connector = world.connector.clone();
    let connecting = veltix::Client::connect_with(connector, known(), router).await;
    let Err(ConnectError::Config(error)) = connecting else { panic!("{connecting:?}") };
    assert_eq!(error, ConfigError::AuthenticateOnClient);
}

#[tokio::test]
async fn a_panic_before_there_is_a_future_is_one_like_others() {
    let router = Router::new().authenticate(|info: HandshakeInfo| -> Ready<Result<(), Refuse>> {
        assert!(info.token().is_some(), "nobody thought of it");
        ready(Ok(()))
    });
    let world = World::new(router);
    let mut events = world.hub.events();
    let error = refused(&world, ClientConfig::default()).await;
    assert!(error.is_transient(), "{error}");
    let message = "nobody thought of it".to_owned();
    assert_eq!(failure(&mut events).await, HandshakeFailure::Panicked { message });
    world.client_with(known(), Router::new()).await.ping().await.expect("others are let in");
}
