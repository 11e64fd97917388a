//! R45: for any text in a peer's message or an error, an event is one short line of a log.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use veltix::{
    BoxError, Client, ClientConfig, Event, HandshakeInfo, Json, Message, Reconnect, Refuse, Router,
    ServerConfig, SocketCore, all,
};

use super::Log;
use crate::support::{ECHO, OTHER, PIPE, RawServer, World, quiet, until};

/// Characters that end a line, change its color, or hide text in it.
const NASTY: [&str; 5] = [
    "\r\n2026-01-01T00:00:00.000000Z ERROR root: owned",
    "\u{1b}[31m\u{1b}]0;title\u{7}\u{9b}2J",
    "\0\u{1}\u{8}\u{b}\u{c}\u{7f}\u{85}",
    "\u{202e}\u{2066}\u{2028}\u{2029}",
    "\\n\" error=\"",
];

/// Returns texts with each of these characters once, and texts that repeat them until they fill a
/// message of the handshake.
fn nasty() -> impl Iterator<Item = String> {
    NASTY.iter().flat_map(|words| [(*words).to_owned(), words.repeat(3_000 / words.len())])
}

fn panics(words: &str) {
    panic!("{words}");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {}

#[tokio::test(start_paused = true)]
async fn r45_what_a_peer_says_is_one_line() {
    let (log, _guard) = Log::begin();
    let router = Router::new()
        .route(ECHO, |Json(Strict {}): Json<Strict>| ())
        .route(OTHER, |message: Message| Err::<(), BoxError>(message.text()?.into()));
    let world = World::with(ServerConfig::default(), PIPE, router);
    for words in nasty() {
        let quoted = serde_json::Value::from(words.as_str());
        let mut raw = world.silent().await;
        raw.say(&format!(r#"{{"pv": {quoted}}}"#)).await.unwrap();
        let mut raw = world.silent().await;
        raw.hear().await.unwrap();
        raw.say(&format!(r#"{{"pv": "1.0", "v": {quoted}, {quoted}: {quoted}}}"#)).await.unwrap();
        raw.hear().await.unwrap();
        raw.send(ECHO.code(), 7, format!("{{{quoted}: 1}}")).await.unwrap();
        raw.send(OTHER.code(), 7, words.clone()).await.unwrap();
        raw.send(777, 7, words.clone()).await.unwrap();
        quiet().await;
        raw.write(words.as_bytes()).await.unwrap();
        raw.end();
        quiet().await;
    }
    // Each error was logged in one line.
    let times = nasty().count();
    for (about, lines) in [
        ("the handshake failed", times),
        ("rejected", times),
        ("the handler failed", times),
        ("disconnected", times),
    ] {
        assert_eq!(log.lines(about).len(), lines, "{about}");
    }
    println!("the longest line has {} characters", log.check());
}

#[tokio::test(start_paused = true)]
async fn r45_what_a_server_says_is_one_line() {
    let (log, _guard) = Log::begin();
    for words in nasty() {
        let quoted = serde_json::Value::from(words.as_str());
        for said in [format!(r#"{{"error": {quoted}}}"#), format!(r#"{{"pv": {quoted}}}"#)] {
            let mut server = RawServer::new(PIPE);
            let reconnect = Reconnect::backoff().attempts(2).initial(true);
            let config = ClientConfig::default().reconnect(reconnect);
            let connector = server.connector.clone();
            let client = Client::connect_with(connector, config, Router::new());
            let refuse = async {
                // The stream closes without an answer, so the client tries again.
                drop(server.accept().await);
                let mut raw = server.accept().await;
                drop(raw.say(&said).await);
                raw
            };
            let (refused, _raw) = tokio::join!(client, refuse);
            let text = refused.unwrap_err().to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
    assert_eq!(log.lines("connecting again").len(), 2 * nasty().count());
    println!("the longest line has {} characters", log.check());
}

#[tokio::test(start_paused = true)]
async fn r45_what_the_application_says_is_one_line() {
    let (log, _guard) = Log::begin();
    for words in nasty() {
        let (refusal, end, panic) = (words.clone(), words.clone(), words.clone());
        let first = Arc::new(AtomicBool::new(true));
        let router = Router::new()
            .on_connect(move || match first.swap(false, Ordering::Relaxed) {
                true => Err(refusal.clone()),
                false => Ok(()),
            })
            .on_disconnect(move || Err::<(), _>(end.clone()))
            .route(ECHO, move || panics(&panic));
        let world = World::with(ServerConfig::default(), PIPE, router);
        let _refused = world.raw().await;
        let mut panics = world.raw().await;
        panics.send(ECHO.code(), 7, "").await.unwrap();
        quiet().await;
        let _closed = world.raw().await;
        quiet().await;
        assert_eq!(world.hub.close(all(), words.clone()), Ok(1));
        quiet().await;
    }
    for about in ["refused", "the handler panicked", "on_disconnect failed", "closed by this side"]
    {
        assert!(log.lines(about).len() >= nasty().count(), "{about}");
    }
    println!("the longest line has {} characters", log.check());
}

/// The application's texts often contain a peer's text, for example its name or its certificate's
/// subject.
#[tokio::test(start_paused = true)]
async fn r45_a_refusal_by_identity_is_one_line_and_its_event_is_printable() {
    let (log, _guard) = Log::begin();
    for words in nasty() {
        let (refusal, panic) = (words.clone(), words.clone());
        let hook = move |info: HandshakeInfo| {
            if info.token().is_some() {
                panics(&panic);
            }
            ready(Err::<(), _>(Refuse::for_now(refusal.clone())))
        };
        let router = Router::new().authenticate(hook);
        let world = World::with(ServerConfig::default(), PIPE, router);
        let mut events = world.hub.events();
        for config in [ClientConfig::default(), ClientConfig::default().token("any")] {
            let connector = world.connector.clone();
            Client::connect_with(connector, config, Router::new()).await.unwrap_err();
            let text = |event| match event {
                Event::HandshakeFailed { reason, .. } => Some(reason.to_string()),
                _ => None,
            };
            let text = until(&mut events, text).await;
            assert!(!text.contains(char::is_control) && !text.contains('\u{202e}'), "{text:?}");
            assert!(text.chars().count() <= 256, "{text}");
        }
    }
    // The rate limits of the log lines of different servers are independent.
    assert_eq!(log.lines("the handshake failed").len(), 2 * nasty().count());
    println!("the longest line has {} characters", log.check());
}

#[tokio::test(start_paused = true)]
async fn r45_a_lost_server_is_one_line() {
    let (log, _guard) = Log::begin();
    let mut server = RawServer::new(PIPE);
    let config = ClientConfig::default().reconnect(Reconnect::backoff().attempts(1));
    let (client, mut raw) = server.client(config, Router::new()).await;
    raw.write(b"nonsense").await.unwrap();
    drop(raw);
    let mut raw = server.accept().await;
    raw.say(&format!(r#"{{"error": {:?}}}"#, "x\\u001b\\r".repeat(500))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(log.lines("gave up reconnecting").len(), 1);
    println!("the longest line has {} characters", log.check());
    drop(client);
}

/// A peer that guesses tokens does not fill the log.
#[tokio::test(start_paused = true)]
async fn r45_any_number_of_refused_peers_are_one_warning() {
    let (log, _guard) = Log::begin();
    let router = Router::new()
        .authenticate(async |_: HandshakeInfo| Err::<(), _>(Refuse::new("the token is wrong")));
    let world = World::with(ServerConfig::default(), PIPE, router);
    for _ in 0..5 {
        let mut raw = world.silent().await;
        raw.shake_hands().await.expect_err("it is refused");
    }
    let lines = log.lines("the token is wrong");
    assert_eq!(lines.iter().filter(|line| line.contains(" WARN ")).count(), 1, "{lines:?}");
    assert_eq!(lines.len(), 5, "the other lines are at debug level");
}

/// A close cancels the calls on a thread of handlers before the thread notices.
#[tokio::test]
async fn a_thread_that_no_handler_blocks_is_not_reported() {
    let (log, _guard) = Log::begin();
    for on_disconnect in [false, true] {
        for _ in 0..10 {
            let mut router = Router::new().route(ECHO, |body: Bytes| body);
            router = router.route(OTHER, std::future::pending::<()>);
            if on_disconnect {
                router = router.on_disconnect(|| ());
            }
            let config = ServerConfig::default().socket_core(SocketCore::Threading);
            let world = World::with(config, PIPE, router);
            let client = world.client(Router::new()).await;
            client.request(&Message::empty(ECHO)).await.expect("it answers");
            client.send(&Message::empty(OTHER)).await.expect("it is connected");
            client.ping().await.expect("it is connected");
            world.newest().close().await;
            world.hub.shutdown().await;
        }
    }
    assert_eq!(log.lines("still blocks"), [""; 0]);
}
