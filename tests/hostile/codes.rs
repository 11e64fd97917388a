//! R34: two types under one code. What the compiler sees of it is in `tests/macros`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use veltix::{MessageType, Registry, Router, ServerConfig, TypeError};

use crate::support::{ECHO, PIPE, World};

/// As another crate may have it, which knows nothing of ours.
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
        let text = *built.err().expect("it is refused at the start").downcast::<String>().unwrap();
        let places = text.matches(file!()).count();
        assert!(text.contains("200") && places >= 1, "it names the place: {text}");
    }
    let mut registry = Registry::new();
    registry.register(ECHO).unwrap();
    let taken = registry.register(OTHERS);
    assert_eq!(taken, Err(TypeError::Duplicate { code: ECHO.code(), taken_by: ECHO.name() }));
}

#[tokio::test(start_paused = true)]
async fn r34_a_peer_that_says_nothing_of_its_types_is_served() {
    let world = World::with(ServerConfig::default(), PIPE, Router::new().route(ECHO, || "served"));
    let mut python = world.silent().await;
    python.shake_hands_as_python().await.unwrap();
    python.send(ECHO.code(), 7, "").await.unwrap();
    assert_eq!(python.next().await.unwrap().text().unwrap(), "served");
}
