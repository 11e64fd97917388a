//! The first connection.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, timeout};
use veltix::transport::{Connector, MemoryConnector, Stream};
use veltix::{Client, ClientStatus, CloseReason, ConnectError, HandshakeError, Reconnect, Router};

use super::{config, seconds};
use crate::support::{PATIENCE, PIPE, PYTHON, RawPeer, RawServer, World};

/// A connector whose server does not exist at first.
struct Late {
    connector: MemoryConnector,
    refusals: AtomicUsize,
}

impl Late {
    fn new(connector: &MemoryConnector, refusals: usize) -> Self {
        Self { connector: connector.clone(), refusals: refusals.into() }
    }
}

impl Connector for Late {
    async fn connect(&self) -> io::Result<Stream> {
        let refuse = |refusals: usize| refusals.checked_sub(1);
        match self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuse) {
            Ok(_) => Err(io::ErrorKind::ConnectionRefused.into()),
            Err(_) => self.connector.stream().await,
        }
    }

    fn target(&self) -> String {
        "the late one".to_owned()
    }
}

/// Returns the error of a first connect to a server that handles it with this function.
async fn failure(
    reconnect: Reconnect,
    act: impl Fn(RawPeer) -> futures::future::BoxFuture<'static, ()>,
) -> ConnectError {
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let connect = Client::connect_with(connector, config(reconnect), Router::new());
    let serve = async {
        loop {
            act(server.accept().await).await;
        }
    };
    tokio::select! {
        result = timeout(PATIENCE, connect) => result.expect("it ends").expect_err("it fails"),
        () = serve => unreachable!(),
    }
}

/// Returns a server that first sends these bytes, and waits until the client disconnects.
fn says(json: &'static str) -> impl Fn(RawPeer) -> futures::future::BoxFuture<'static, ()> {
    move |mut raw| {
        Box::pin(async move {
            raw.say(json).await.expect("the client listens");
            raw.rest().await;
        })
    }
}

#[track_caller]
fn check_handshake_error(error: &ConnectError, expected: &HandshakeError) {
    let ConnectError::Handshake { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source, expected);
    assert!(error.to_string().contains(&expected.to_string()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_final() {
    let world = World::new(Router::new());
    let start = Instant::now();
    let late = Late::new(&world.connector, 1);
    let result = Client::connect_with(late, config(Reconnect::backoff()), Router::new()).await;
    let error = result.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().starts_with("the late one cannot be reached"), "{error}");
    assert_eq!(start.elapsed(), seconds(0));
}

#[tokio::test(start_paused = true)]
async fn unless_the_first_connect_is_tried_again_too() {
    let world = World::new(Router::new());
    let start = Instant::now();
    let reconnect = Reconnect::fixed(seconds(3)).initial(true);
    let late = Late::new(&world.connector, 4);
    let client = Client::connect_with(late, config(reconnect), Router::new()).await.unwrap();
    assert_eq!(start.elapsed(), seconds(4 * 3));
    assert!(client.is_connected());
}

#[tokio::test(start_paused = true)]
async fn the_first_connect_has_so_many_attempts_too() {
    let world = World::new(Router::new());
    let start = Instant::now();
    let reconnect = Reconnect::fixed(seconds(3)).initial(true).attempts(4);
    let late = Late::new(&world.connector, 5);
    let result = Client::connect_with(late, config(reconnect), Router::new()).await;
    assert!(matches!(result, Err(ConnectError::Unreachable { .. })));
    assert_eq!(start.elapsed(), seconds(4 * 3));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_tried_again() {
    let again = Reconnect::fixed(seconds(1)).initial(true);
    let error = failure(again, says(r#"{"v": "9.0", "pv": "2.0", "meta": {}}"#)).await;
    let theirs = "2.0".to_owned();
    check_handshake_error(&error, &HandshakeError::IncompatibleVersion { theirs });
    let error = failure(again, says(r#"{"error": "banned \u001b[2J"}"#)).await;
    let reason = r"banned \u{1b}[2J".to_owned();
    check_handshake_error(&error, &HandshakeError::Refused { reason });
    let error = failure(again, says("nonsense")).await;
    check_handshake_error(&error, &HandshakeError::NotAnObject);
}

#[tokio::test(start_paused = true)]
async fn other_failures_are_told_apart() {
    let off = Reconnect::off();
    check_handshake_error(
        &failure(off, says(r#"{"error": "server_full"}"#)).await,
        &HandshakeError::ServerFull,
    );
    let leaves = |raw: RawPeer| -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move { drop(raw) })
    };
    check_handshake_error(&failure(off, leaves).await, &HandshakeError::NoHello);
    let leaves_later = |mut raw: RawPeer| -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            raw.say(PYTHON).await.expect("it listens");
            raw.hear().await.expect("the client's hello");
        })
    };
    check_handshake_error(&failure(off, leaves_later).await, &HandshakeError::Closed);
    let frame_first = |mut raw: RawPeer| -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move { raw.send(200, 32_768, "too early").await.expect("it listens") })
    };
    check_handshake_error(&failure(off, frame_first).await, &HandshakeError::FrameBeforeHandshake);
    let silent = |mut raw: RawPeer| -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move { while raw.read_more().await.is_ok() {} })
    };
    let error = failure(off, silent).await;
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}

/// The server of another protocol is told apart from a Veltix server of another version.
#[tokio::test(start_paused = true)]
async fn a_server_of_another_protocol_is_named() {
    let again = Reconnect::fixed(seconds(1)).initial(true);
    let writes = |bytes: &'static [u8]| {
        move |mut raw: RawPeer| -> futures::future::BoxFuture<'static, ()> {
            Box::pin(async move { raw.write(bytes).await.expect("it listens") })
        }
    };
    for (bytes, protocol) in [
        (&b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"[..], "HTTP"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        (b"220 mail.example.org ESMTP\r\n", "SMTP or FTP"),
    ] {
        let error = failure(again, writes(bytes)).await;
        check_handshake_error(&error, &HandshakeError::NotVeltix { protocol });
        let text = error.to_string();
        assert!(text.contains(protocol) && text.contains("not Veltix"), "{text}");
        assert!(!error.is_transient() && !text.contains("version"), "{text}");
    }
    // The alert that a TLS server sends to a client without TLS.
    let error = failure(again, writes(&[21, 3, 3, 0, 2, 2, 70])).await;
    check_handshake_error(&error, &HandshakeError::Tls);
    // A server that says nothing may be one of HTTP or of TLS.
    let closes = |raw: RawPeer| -> futures::future::BoxFuture<'static, ()> {
        Box::pin(async move { drop(raw) })
    };
    let text = failure(Reconnect::off(), closes).await.to_string();
    assert!(text.contains("Veltix server") && text.contains("enable TLS"), "{text}");
}

/// Another program may have the port for a moment while the server restarts.
#[tokio::test(start_paused = true)]
async fn a_server_of_another_protocol_does_not_end_reconnecting() {
    let mut server = RawServer::new(PIPE);
    let config = config(Reconnect::fixed(seconds(1)));
    let (client, raw) = server.client(config, Router::new()).await;
    drop(raw);
    let mut foreign = server.accept().await;
    foreign.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.expect("it listens");
    let mut raw = server.accept().await;
    raw.welcome(PYTHON).await.expect("the client is there");
    client.connected().await.expect("it tries again");
}

#[tokio::test(start_paused = true)]
async fn connecting_ends_after_on_connect() {
    let world = World::new(Router::new().route(crate::support::ECHO, |body: bytes::Bytes| body));
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let ask = move |peer: veltix::Peer| {
        let counter = Arc::clone(&counter);
        async move {
            let question = veltix::Message::from_text(crate::support::ECHO, "who are you?");
            let answer = peer.request(&question).await?;
            counter.store(answer.body().len(), Ordering::Relaxed);
            Ok::<_, veltix::RequestError>(())
        }
    };
    let client = world.client(Router::new().on_connect(ask)).await;
    assert_eq!(seen.load(Ordering::Relaxed), "who are you?".len());
    assert_eq!(*client.status().borrow(), ClientStatus::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_is_dropped_closes_what_it_opened() {
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let connect = Client::connect_with(connector, config(Reconnect::backoff()), Router::new());
    let mut raw = tokio::select! {
        _ = connect => panic!("nobody has answered"),
        raw = async {
            let mut raw = server.accept().await;
            raw.say(PYTHON).await.expect("the client listens");
            raw.hear().await.expect("the client speaks");
            raw
        } => raw,
    };
    assert!(raw.rest().await.is_empty());
    assert!(raw.read_more().await.is_err(), "the stream has ended");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_at_once_is_lost_after_the_connect() {
    let mut server = RawServer::new(PIPE);
    let (client, raw) = server.client(config(Reconnect::off()), Router::new()).await;
    drop(raw);
    assert_eq!(client.peer().closed().await.reason, CloseReason::PeerClosed);
    assert_eq!(super::lost(&client).await, CloseReason::PeerClosed.to_string());
    assert!(!client.is_connected());
}

/// A `Client` documents that its futures can be moved to other tasks.
#[test]
fn futures_are_send() {
    fn check(_: impl Future + Send) {}
    let (_, connector) = veltix::transport::memory(PIPE);
    check(Client::connect(config(Reconnect::off()), Router::new()));
    check(Client::connect_with(connector, config(Reconnect::off()), Router::new()));
}
