//! The arguments of the hook, and the effect of its result.

use std::future::{Ready, pending, ready};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use veltix::handler::FromRef;
use veltix::transport::PeerAddr;
use veltix::{
    ClientConfig, ConfigError, ConnectError, HandshakeError, HandshakeFailure, HandshakeInfo, Hub,
    Identity, Message, Refuse, Router, ServerConfig, State, all,
};

use super::{SECRET, User, authenticate, failure, known, refused};
use crate::support::{ECHO, NATIVE, OTHER, PIPE, PYTHON, World, frame, quiet, said};

fn world() -> World {
    World::new(Router::new().authenticate(authenticate))
}

#[tokio::test]
async fn who_is_known_is_let_in_and_who_is_not_is_told_why() {
    let world = world();
    let mut events = world.hub.events();
    for (config, told) in [
        (ClientConfig::default().token("marlin"), "the token is wrong"),
        (ClientConfig::default(), "this server requires a token; set one on the client"),
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
    assert_eq!(client.peer().identity::<User>(), None, "a client has no hook");
}

#[tokio::test]
async fn a_python_client_sees_the_connection_close_without_an_ack() {
    let world = world();
    let mut events = world.hub.events();
    let mut raw = world.silent().await;
    raw.shake_hands_saying(PYTHON).await.expect_err("it is refused");
    let reason = "this server requires a token; set one on the client".to_owned();
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
    // An internal error is not shown to the peer, and it may be temporary.
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
    // It does not occupy a slot either.
    let client = world.client_with(known(), Router::new()).await;
    client.ping().await.expect("it is let in");
    assert_eq!(failure(&mut events).await, HandshakeFailure::Timeout);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

/// A hook whose destructor also panics when it is cancelled.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("as it is cancelled");
        }
    }
}

async fn moody(info: HandshakeInfo) -> Result<(), Refuse> {
    match info.token().map(|token| token.expose()) {
        Some("panics") => panic!("a bug"),
        Some("hangs") => {
            let _bomb = Bomb;
            pending().await
        }
        Some("refuses") => Err(Refuse::new("no")),
        Some("cannot tell") => Err(Refuse::for_now("no")),
        _ => Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn however_a_handshake_ends_its_places_are_given_back_and_nothing_is_handled() {
    let config = ServerConfig::default().max_connections(1).max_pending_handshakes(2, 2);
    let handler = |_: Message| -> () { panic!("no peer was admitted") };
    let router = Router::new().authenticate(moody).route(OTHER, handler);
    let world = World::with(config, PIPE, router);
    for stays in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(10)] {
        for mood in ["panics", "hangs", "refuses", "cannot tell"] {
            let hello = format!(r#"{{"pv": "1.0", "meta": {{"veltix": {{"token": "{mood}"}}}}}}"#);
            let whole = said(&hello);
            for bytes in [&whole[..1], &whole[..20], &whole, &[&whole[..], &early()].concat()] {
                let mut raw = world.silent().await;
                // The handshake may be shed meanwhile, and may end in the other ways too.
                drop(raw.write(bytes).await);
                sleep(stays).await;
            }
        }
        sleep(Duration::from_secs(10)).await;
        assert!(!world.hub.is_full());
        let client = world.client_with(known(), Router::new()).await;
        client.ping().await.expect("it is let in");
        assert!(world.hub.is_full());
        let peer = world.newest();
        client.close().await;
        peer.closed().await;
        quiet().await;
    }
    assert!(world.hub.shutdown().await.complete);
}

/// Returns a frame that arrives with the hello.
fn early() -> Vec<u8> {
    frame(OTHER.code(), 0, "").to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_inside_of_it_waits_for_nothing() {
    let place: Arc<OnceLock<Hub>> = Arc::default();
    let hub = Arc::clone(&place);
    let hook = move |_: HandshakeInfo| {
        let hub = hub.get().expect("it is there").clone();
        async move {
            hub.shutdown().await;
            Ok::<_, Refuse>(())
        }
    };
    let world = World::new(Router::new().authenticate(hook));
    place.set(world.hub.clone()).expect("it was empty");
    let begun = Instant::now();
    world.silent().await.shake_hands().await.expect_err("no peer is admitted any more");
    assert!(world.hub.shutdown().await.complete);
    world.stopped().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
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

#[derive(Clone)]
struct Tokens(Arc<str>);

#[derive(Clone)]
struct App {
    tokens: Tokens,
    role: &'static str,
}

impl FromRef<App> for Tokens {
    fn from_ref(app: &App) -> Self {
        app.tokens.clone()
    }
}

/// Takes a part of the state, and the whole of it.
async fn by_state(
    State(tokens): State<Tokens>,
    State(app): State<App>,
    info: HandshakeInfo,
) -> Result<String, Refuse> {
    match info.require_token()?.is(&tokens.0) {
        true => Ok(app.role.to_owned()),
        false => Err(Refuse::new("the token is wrong")),
    }
}

#[tokio::test]
async fn the_hook_takes_the_state_of_the_router() {
    let app = |secret: &str| App { tokens: Tokens(secret.into()), role: "admin" };
    let router = |secret| {
        let route = |role: Identity<String>| role.0.as_str().to_owned();
        Router::new().authenticate(by_state).route(ECHO, route).with_state(app(secret))
    };
    let world = World::new(router(SECRET));
    let client = world.client_with(known(), Router::new()).await;
    let answer = client.request(&Message::new(ECHO, "")).await.expect("it answers");
    assert_eq!(answer.text().unwrap(), "admin");
    // Each part of an application may have a state of its own.
    let merged = Router::new().merge(router("another"));
    let error = refused(&World::new(merged), known()).await;
    assert!(error.to_string().contains("the token is wrong"), "{error}");
}
