//! Handshakes that fail: at once, or at their single deadline.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use veltix::{Event, HandshakeError, HandshakeFailure, Router, ServerConfig};
use veltix_core::ServerHandshake;

use super::{Scene, echo};
use crate::support::{ACK, ECHO, PIPE, PYTHON, RawPeer, World, frame, quiet, said};

const AT_ONCE: Duration = Duration::ZERO;
const AT_THE_DEADLINE: Duration = Duration::from_secs(5);

/// Checks a peer that does this instead of a handshake: it is closed without an answer, for this
/// reason and this long after its connection.
async fn check_failure(
    act: impl AsyncFnOnce(&mut RawPeer),
    expected: HandshakeFailure,
    after: Duration,
) {
    let mut scene = Scene::new(Router::new()).await;
    let start = Instant::now();
    let mut raw = scene.world.silent().await;
    let failure = {
        let act = act(&mut raw);
        let failed = async {
            let failure = scene.next_failure().await;
            (failure, start.elapsed())
        };
        tokio::join!(act, failed).1
    };
    assert_eq!(failure, (expected, after));
    if raw.reader.is_some() {
        while raw.read_more().await.is_ok() {}
        assert_eq!(&raw.buffer[..], &ServerHandshake::hello()[..]);
    }
    scene.check_bystander().await;
}

/// Runs [`check_failure`] with a peer that sends these bytes and waits.
async fn check_bytes(bytes: &[u8], expected: HandshakeFailure, after: Duration) {
    check_failure(async |raw| raw.write(bytes).await.expect("it reads"), expected, after).await;
}

fn protocol(error: HandshakeError) -> HandshakeFailure {
    HandshakeFailure::Protocol(error)
}

#[tokio::test(start_paused = true)]
async fn r02_a_length_out_of_range_fails_at_once() {
    for length in (30_721..=u16::MAX).step_by(997).chain([0, 0xFFFF]) {
        let error = HandshakeError::BadLength { length: length.into(), limit: 30_720 };
        check_bytes(&u16::to_be_bytes(length), protocol(error), AT_ONCE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_hello_fails_at_once() {
    for json in ["nope", "[1]", "\"1.0\"", "{\"pv\": "] {
        let bytes = said(json);
        check_bytes(&bytes, protocol(HandshakeError::NotAnObject), AT_ONCE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_version_fails_at_once() {
    for (json, theirs) in [(r#"{"pv": "2.0"}"#, "2.0"), (r#"{"pv": 1}"#, "1"), ("{}", "")] {
        let error = HandshakeError::IncompatibleVersion { theirs: theirs.to_owned() };
        check_bytes(&said(json), protocol(error), AT_ONCE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_instead_of_a_hello_fails_at_once() {
    let bytes = frame(ECHO.code(), 0, "");
    check_bytes(&bytes, protocol(HandshakeError::FrameBeforeHandshake), AT_ONCE).await;
}

#[tokio::test(start_paused = true)]
async fn an_early_end_fails_at_once() {
    let hello = said(r#"{"pv": "1.0"}"#);
    // An end before the first byte is a health check: `listeners::health_checks`.
    for length in [1, 2, hello.len() - 1] {
        let leave = async |raw: &mut RawPeer| {
            raw.write(&hello[..length]).await.expect("it reads");
            raw.end();
        };
        check_failure(leave, protocol(HandshakeError::Closed), AT_ONCE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_fails_at_once() {
    let leave = async |raw: &mut RawPeer| {
        raw.reader = None;
        raw.write(&said(r#"{"pv": "1.0"}"#)).await.expect("it reads");
    };
    check_failure(leave, HandshakeFailure::Io(ErrorKind::BrokenPipe), AT_ONCE).await;
}

#[tokio::test(start_paused = true)]
async fn silence_fails_at_the_deadline() {
    check_bytes(b"", HandshakeFailure::Timeout, AT_THE_DEADLINE).await;
    check_bytes(&said("{}")[..3], HandshakeFailure::Timeout, AT_THE_DEADLINE).await;
}

/// Without looking at them, "GE" and "SS" are lengths within the limit, and the rest never arrives.
#[tokio::test(start_paused = true)]
async fn a_client_of_another_protocol_fails_at_once_and_is_named() {
    for (bytes, name) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        (b"EHLO example.org\r\n", "another protocol"),
    ] {
        let failure = protocol(HandshakeError::NotVeltix { protocol: name });
        assert!(failure.to_string().contains(name), "{failure}");
        check_bytes(bytes, failure, AT_ONCE).await;
    }
    let failure = protocol(HandshakeError::ProxyHeader);
    check_bytes(b"\r\n\r\n\0\r\nQUIT\n", failure, AT_ONCE).await;
    // A ClientHello of TLS.
    let hello = [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    check_bytes(&hello, protocol(HandshakeError::Tls), AT_ONCE).await;
}

#[tokio::test(start_paused = true)]
async fn a_trickle_does_not_move_the_deadline() {
    let trickle = async |raw: &mut RawPeer| {
        for byte in said(r#"{"pv": "1.0"}"#) {
            // The handshake fails after the server has closed.
            let _ = raw.write(&[byte]).await;
            sleep(Duration::from_secs(2)).await;
        }
    };
    check_failure(trickle, HandshakeFailure::Timeout, AT_THE_DEADLINE).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_fails_at_the_deadline() {
    // The server's hello does not fit the pipe.
    let mut scene = Scene::with(ServerConfig::default(), 16, Router::new()).await;
    let start = Instant::now();
    let _raw = scene.world.silent().await;
    assert_eq!(scene.next_failure().await, HandshakeFailure::Timeout);
    assert_eq!(start.elapsed(), AT_THE_DEADLINE);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_hello_in_one_segment_is_the_first_frame() {
    let scene = Scene::new(Router::new()).await;
    let mut raw = scene.world.silent().await;
    let first = frame(ECHO.code(), 7, "first");
    raw.write(&[&said(PYTHON)[..], &first].concat()).await.unwrap();
    raw.hear().await.unwrap();
    assert_eq!(raw.hear().await.unwrap(), ACK);
    // No further byte arrives, and the frame is handled nevertheless.
    let answer = raw.next().await.unwrap();
    assert_eq!((answer.code(), answer.id().value(), answer.text().unwrap()), (200, 7, "first"));
}

#[tokio::test(start_paused = true)]
async fn a_frame_may_begin_behind_the_hello() {
    let scene = Scene::new(Router::new()).await;
    let mut raw = scene.world.silent().await;
    let first = frame(ECHO.code(), 7, "in two parts");
    raw.write(&[&said(PYTHON)[..], &first[..9]].concat()).await.unwrap();
    raw.hear().await.unwrap();
    assert_eq!(raw.hear().await.unwrap(), ACK);
    raw.write(&first[9..]).await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), "in two parts");
}

#[tokio::test(start_paused = true)]
async fn too_many_pending_handshakes_shed_some_and_count_for_nothing() {
    let config = ServerConfig::default().max_connections(2);
    let mut scene = Scene::with(config, PIPE, Router::new()).await;
    let mut pending = Vec::new();
    for _ in 0..512 {
        pending.push(scene.world.silent().await);
    }
    assert!(!scene.world.hub.is_full());
    scene.check_bystander().await;
    // The 513th takes the place of another, and silent peers do not keep it out.
    let (mut raw, _) = scene.raw().await;
    echo(&mut raw).await;
    assert!(scene.world.hub.is_full());
    drop(raw);
    scene.next_end().await;
    // Its slot is free again, so that no handshake is shed for the next.
    pending.push(scene.world.silent().await);
    let mut failures = Vec::new();
    for _ in 0..512 {
        failures.push(scene.next_failure().await);
    }
    assert!(failures.iter().all(|failure| *failure == HandshakeFailure::Timeout));
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_over_the_cap_sheds_exactly_one() {
    let config = ServerConfig::default().max_pending_handshakes(3, 3);
    let mut scene = Scene::with(config, PIPE, Router::new()).await;
    let mut pending = Vec::new();
    for _ in 0..4 {
        pending.push(scene.world.silent().await);
    }
    let start = Instant::now();
    assert_eq!(scene.next_failure().await, HandshakeFailure::Shed);
    assert_eq!(start.elapsed(), AT_ONCE);
    for _ in 0..3 {
        assert_eq!(scene.next_failure().await, HandshakeFailure::Timeout);
    }
    assert_eq!(start.elapsed(), AT_THE_DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_pending_handshakes_at_once_and_calls_none_a_failure() {
    let world = World::with(ServerConfig::default(), PIPE, Router::new());
    let mut events = world.hub.events();
    let _pending = (world.silent().await, world.silent().await);
    quiet().await;
    let report = world.hub.shutdown().await;
    assert!(report.complete);
    assert_eq!(report.took, AT_ONCE);
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::HandshakeFailed { .. }), "{event:?}");
    }
    world.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_server_says_so_instead_of_its_hello() {
    let config = ServerConfig::default().max_connections(1);
    let mut scene = Scene::with(config, PIPE, Router::new()).await;
    assert!(scene.world.hub.is_full());
    let mut raw = scene.world.silent().await;
    assert_eq!(scene.next_failure().await, HandshakeFailure::ServerFull);
    while raw.read_more().await.is_ok() {}
    assert_eq!(&raw.buffer[..], said(r#"{"error": "server_full"}"#));
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn the_last_slot_goes_to_whoever_finishes_first() {
    let config = ServerConfig::default().max_connections(2);
    let mut scene = Scene::with(config, PIPE, Router::new()).await;
    let mut late = scene.world.silent().await;
    late.read_more().await.unwrap();
    let (mut quick, _) = scene.raw().await;
    let refusal = late.shake_hands().await.expect_err("the last slot is taken");
    assert_eq!(refusal.to_string(), HandshakeError::ServerFull.to_string());
    assert_eq!(scene.next_failure().await, HandshakeFailure::ServerFull);
    echo(&mut quick).await;
    drop(quick);
    scene.next_end().await;
    let (mut next, _) = scene.raw().await;
    echo(&mut next).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_says_of_itself_is_kept() {
    let scene = Scene::new(Router::new()).await;
    let mut raw = scene.world.silent().await;
    raw.hear().await.unwrap();
    raw.say(r#"{"v": "2.0.3", "pv": "1.9", "meta": {"id_window": 30000}}"#).await.unwrap();
    assert_eq!(raw.hear().await.unwrap(), ACK);
    let peer = scene.world.newest();
    assert_eq!((peer.hello().version(), peer.hello().id_window()), ("2.0.3", Some(30_000)));
}
