//! R21: a client that reconnects stops if and only if another attempt is useless.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use veltix::{ClientConfig, ClientStatus, Event, Reconnect, Router};

use crate::support::{PATIENCE, PIPE, PYTHON, RawServer, until};

/// The maximum number of attempts of the client.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// The reply of a server in place of the expected message.
#[derive(Clone, Copy)]
enum Says {
    /// The reply replaces its hello.
    First(&'static str),
    /// The reply replaces its ack; if it is empty, the server closes.
    Last(Option<&'static str>),
}

/// Cuts a client's connection to a server that replies like this from now on. Returns the number of
/// attempts and the reason why the client stopped.
async fn comes(says: Says) -> (u32, String) {
    let mut server = RawServer::new(PIPE);
    let config = ClientConfig::default()
        .reconnect(Reconnect::fixed(PAUSE).attempts(ATTEMPTS))
        .token("swordfish");
    let (client, raw) = server.client(config, Router::new()).await;
    let mut events = client.events();
    let began = Instant::now();
    drop(raw);
    let mut came = 0;
    let serving = async {
        loop {
            let mut raw = server.accept().await;
            came += 1;
            match says {
                Says::First(first) => raw.say(first).await.expect("the client reads"),
                Says::Last(last) => {
                    raw.say(PYTHON).await.expect("the client reads");
                    raw.hear().await.expect("the client's hello");
                    if let Some(last) = last {
                        raw.say(last).await.expect("the client reads");
                    }
                }
            }
        }
    };
    let gave_up = until(&mut events, |event| match event {
        Event::GaveUp { attempts } => Some(attempts),
        _ => None,
    });
    let told = tokio::select! {
        () = serving => unreachable!("the server runs forever"),
        told = timeout(PATIENCE, gave_up) => told.expect("it gives up"),
    };
    assert_eq!(told, came, "each attempt is counted");
    assert_eq!(began.elapsed(), PAUSE * came, "each after its pause");
    let mut status = client.status();
    let lost = status.wait_for(|status| matches!(status, ClientStatus::Lost { .. }));
    let lost = timeout(PATIENCE, lost).await.expect("it is lost").expect("it is there").clone();
    let ClientStatus::Lost { reason } = lost else { unreachable!() };
    (came, reason)
}

#[tokio::test(start_paused = true)]
async fn r21_a_refusal_and_a_wrong_version_are_final() {
    for (says, words) in [
        (Says::Last(Some(r#"{"error": "the token is wrong"}"#)), "the token is wrong"),
        (Says::First(r#"{"error": "banned"}"#), "banned"),
        (Says::First(r#"{"v": "9.0.0", "pv": "2.0", "meta": {}}"#), "2.0"),
    ] {
        let (came, reason) = comes(says).await;
        assert_eq!(came, 1, "{reason}");
        assert!(reason.contains(words), "{reason}");
        assert!(!reason.contains("swordfish"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn r21_a_full_server_and_a_closed_connection_are_tried_again() {
    const FULL: &str = r#"{"error": "server_full"}"#;
    for (says, words) in [
        (Says::First(FULL), "the server is full"),
        (Says::Last(Some(FULL)), "the server is full"),
        (Says::Last(None), "closed the connection"),
    ] {
        let (came, reason) = comes(says).await;
        assert_eq!(came, ATTEMPTS, "{reason}");
        assert!(reason.contains(words), "{reason}");
    }
}
