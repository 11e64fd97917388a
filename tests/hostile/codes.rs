//! R34: two types under one code. The compiler's checks for it are tested in `tests/ui`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use veltix::{
    Client, ClientConfig, ConnectError, Event, HandshakeError, HandshakeFailure, Message,
    MessageType, Reconnect, Registry, Router, ServerConfig, TypeError,
};

use super::Log;
use crate::support::{ECHO, OTHER, PIPE, World, until};

/// A type of another crate, which does not know ours.
const OTHERS: MessageType = MessageType::new(ECHO.code(), "others", "");

#[test]
fn r34_a_code_has_one_type_and_one_handler() {
    let plugin = || Router::<()>::new().route(OTHERS, || {});
    let ours = || Router::<()>::new().route(ECHO, || {});
    for build in [
        (|ours: Router, _: Router| ours.route(OTHERS, || {})) as fn(Router, Router) -> Router,
        |ours, plugin| ours.merge(plugin),
    ] {
        let built = catch_unwind(AssertUnwindSafe(|| build(ours(), plugin())));
        let text = *built.expect_err("it is refused at startup").downcast::<String>().unwrap();
        let places = text.matches(file!()).count();
        assert!(text.contains("200") && places >= 1, "it names the place: {text}");
    }
    let mut registry = Registry::new();
    registry.register(ECHO).unwrap();
    let taken = registry.register(OTHERS);
    assert_eq!(taken, Err(TypeError::Duplicate { code: ECHO.code(), taken_by: ECHO.name() }));
}

/// Returns the types of one build of the application.
fn build(types: &[MessageType]) -> Registry {
    let mut registry = Registry::new();
    types.iter().for_each(|each| registry.register(*each).unwrap());
    registry
}

/// Connects a client of that build, or returns its error. A client that is admitted sends a call.
async fn connect(world: &World, router: Router) -> Result<(), ConnectError> {
    // If the error were not final, the client would retry forever.
    let config = ClientConfig::default().reconnect(Reconnect::backoff().initial(true));
    let client = Client::connect_with(world.connector.clone(), config, router).await?;
    assert_eq!(client.request(&Message::new(ECHO, "")).await.unwrap().text().unwrap(), "served");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn r34_types_that_differ_are_refused_in_strict_mode() {
    let (ours, theirs) = ([ECHO, OTHER], [OTHERS, OTHER]);
    let served = |router: Router| router.route(ECHO, || "served");
    for (strict, types, lets_in) in [
        (true, build(&theirs), false),
        (true, build(&ours), true),
        (true, build(&[OTHER, MessageType::new(202, "newer", "")]), true),
        (false, build(&theirs), true),
    ] {
        let router = match strict {
            true => Router::new().strict_types(build(&ours)),
            false => Router::new().types(build(&ours)),
        };
        let world = World::with(ServerConfig::default(), PIPE, served(router));
        let mut events = world.hub.events();
        // The first client accepts any server, the second one does not.
        let lenient = connect(&world, Router::new().types(types.clone())).await;
        let strict = connect(&world, Router::new().strict_types(types.clone())).await;
        let codes = vec![ECHO.code()];
        if lets_in {
            lenient.unwrap();
        } else {
            let Err(ConnectError::Handshake { source, .. }) = lenient else {
                panic!("{lenient:?}")
            };
            let HandshakeError::Refused { reason } = source else { panic!("{source}") };
            assert!(reason.contains("[200]"), "it names the code: {reason}");
            let failed = |event| match event {
                Event::HandshakeFailed { reason, .. } => Some(reason),
                _ => None,
            };
            let HandshakeFailure::Protocol(error) = until(&mut events, failed).await else {
                panic!()
            };
            assert_eq!(error, HandshakeError::TypesDiffer { codes: codes.clone() });
        }
        if types.find(ECHO.code()).is_some_and(|each| each.name() == OTHERS.name()) {
            let Err(ConnectError::Handshake { source, .. }) = strict else { panic!("{strict:?}") };
            assert_eq!(source, HandshakeError::TypesDiffer { codes });
        } else {
            strict.unwrap();
        }
        // A peer that declares no types is served, even if the server requires types of others.
        connect(&world, Router::new()).await.unwrap();
    }
}

/// A peer with other types is admitted and recognized as such. The second connection is recognized
/// too, although its hello comes from the cache.
#[tokio::test(start_paused = true)]
async fn r34_whoever_is_let_in_can_be_asked_for_its_types() {
    let router = Router::new().types(build(&[ECHO, OTHER])).route(ECHO, || "served");
    let world = World::with(ServerConfig::default(), PIPE, router);
    for _ in 0..2 {
        let client = world.client(Router::new().types(build(&[OTHERS]))).await;
        client.request(&Message::new(ECHO, "")).await.unwrap();
        assert_eq!(client.peer().hello().differing_types(), [ECHO.code()]);
        assert_eq!(world.newest().hello().differing_types(), [ECHO.code()]);
        client.close();
        world.newest().closed().await;
    }
}

#[test]
fn r34_parts_of_an_application_declare_their_own_types() {
    let plugin = || Router::<()>::new().strict_types(build(&[OTHER]));
    let _merged = Router::<()>::new().types(build(&[ECHO])).merge(plugin());
    let twice = catch_unwind(|| plugin().merge(plugin())).expect_err("it is refused");
    let text = *twice.downcast::<String>().unwrap();
    assert!(text.contains("201 is already registered"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn r34_a_peer_that_says_nothing_of_its_types_is_served() {
    let router = Router::new().strict_types(build(&[ECHO])).route(ECHO, || "served");
    let world = World::with(ServerConfig::default(), PIPE, router);
    let mut python = world.silent().await;
    python.shake_hands_as_python().await.unwrap();
    python.send(ECHO.code(), 7, "").await.unwrap();
    assert_eq!(python.next().await.unwrap().text().unwrap(), "served");
}

#[tokio::test(start_paused = true)]
async fn r34_any_number_of_peers_with_other_types_are_one_line_of_the_log() {
    let (log, _guard) = Log::begin();
    let router = Router::new().types(build(&[ECHO])).route(ECHO, || "served");
    let world = World::with(ServerConfig::default(), PIPE, router);
    for _ in 0..5 {
        connect(&world, Router::new().types(build(&[OTHERS]))).await.unwrap();
    }
    // One line of the server, and one of each client about its server.
    let lines = log.lines("the peer uses these message codes for other types");
    assert_eq!(lines.len(), 1 + 5, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("[200]")), "{lines:?}");
    connect(&world, Router::new().types(build(&[ECHO]))).await.unwrap();
    assert_eq!(log.lines("the peer uses these message codes for other types").len(), lines.len());
}
