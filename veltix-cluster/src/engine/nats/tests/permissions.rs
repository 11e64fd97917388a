//! Permissions that are missing at the start, or removed later.

use super::*;

/// Returns a configuration with one user, and these permissions to publish and to subscribe.
fn user(password: &str, publish: &str, subscribe: &str) -> String {
    format!(
        "authorization {{ users = [ {{ user: a, password: {password}, \
         permissions: {{ publish: {publish}, subscribe: {subscribe} }} }} ] }}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_an_error_at_the_start() {
    let right = r#""vx.test.>""#;
    for (publish, subscribe) in [
        ("x", right),
        (right, "x"),
        (r#""vx.test.1.n.>""#, right),
        (r#""vx.test.1.all""#, right),
        (right, r#""vx.test.1.n.>""#),
        (right, r#""vx.test.1.all""#),
        (r#""vx.other.>""#, r#""vx.other.>""#),
    ] {
        let Some(server) = NatsServer::configured(&user("b", publish, subscribe)).await else {
            return;
        };
        for config in [config(&server), config(&server).optional()] {
            let error = config.user_and_password("a", "b").connect().await.unwrap_err();
            let ConnectError::Permission { subject, reason } = &error else {
                panic!("{publish} {subscribe}: {error}");
            };
            assert_eq!(subject, "vx.test.>");
            assert!(reason.contains("vx.test.1."), "{reason}");
        }
    }
    let Some(server) = NatsServer::configured(&user("b", right, right)).await else { return };
    let mut engine = Engine::connected(config(&server).user_and_password("a", "b")).await;
    let mut other = Engine::connected(config(&server).user_and_password("a", "b")).await;
    let batch = engine.publish(Destination::All, Bytes::from_static(b"x")).await;
    assert_eq!(other.next().await, Heard::Received(batch));
    let batch = other.publish(Destination::Node(engine.me), Bytes::from_static(b"x")).await;
    assert_eq!(engine.next().await, Heard::Received(batch));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_permission_that_is_removed_is_told_and_looked_for_again() {
    let right = r#""vx.test.>""#;
    let all = user("b", right, right);
    let Some(server) = NatsServer::configured(&all).await else { return };
    let mut engine = Engine::connected(config(&server).user_and_password("a", "b")).await;
    for (publish, subscribe) in [(right, "x"), ("x", right)] {
        server.reload(&user("b", publish, subscribe));
        // The server keeps the connection. A heartbeat shows that it is not allowed.
        let reason = loop {
            tokio::select! {
                reason = engine.heard.recv() => match reason {
                    Some(Heard::State(EngineState::Disconnected { reason })) => break reason,
                    _ => continue,
                },
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
            engine.publish(Destination::All, Bytes::from_static(b"x")).await;
        };
        assert!(reason.starts_with("Permissions Violation"), "{reason}");
        server.reload(&all);
        engine.is_connected().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_password_that_is_changed_is_told_and_tried_again() {
    let right = r#""vx.test.>""#;
    let Some(server) = NatsServer::configured(&user("b", right, right)).await else { return };
    let mut engine = Engine::connected(config(&server).user_and_password("a", "b")).await;
    server.reload(&user("changed", right, right));
    engine.is_disconnected_for("uthorization").await;
    server.reload(&user("b", right, right));
    engine.is_connected().await;
}

/// C11: one attempt a second at most, on average.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "it takes half a minute"]
async fn c11_a_refused_login_is_tried_once_a_second() {
    let right = r#""vx.test.>""#;
    let Some(server) = NatsServer::configured(&user("b", right, right)).await else { return };
    let mut engine = Engine::connected(config(&server).user_and_password("a", "b")).await;
    server.reload(&user("changed", right, right));
    engine.is_disconnected().await;
    let from = server.logged("authentication error");
    const SECONDS: u64 = 30;
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let attempts = server.logged("authentication error") - from;
    eprintln!("C11: {attempts} attempts in {SECONDS} s");
    // The sum of thirty delays of 1 s on average has a standard deviation of about 3 s.
    assert!((15..=40).contains(&attempts), "{attempts}");
}
