//! R2 and R9: bytes that a peer may send to a server instead of a hello.

#[path = "../../veltix-core/src/hostile/hellos.rs"]
mod hellos;

use std::time::Duration;

use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use veltix::{Event, EventStream, HandshakeError, HandshakeFailure, Router, Server, ServerConfig};

use self::hellos::{Verdict, hellos};
use super::Log;
use crate::support::{ACK, RawPeer, World, until};

async fn failure(events: &mut EventStream) -> HandshakeFailure {
    let failed = |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    };
    until(events, failed).await
}

/// Writes as much as the server reads, up to `most` bytes. Returns the number of written bytes.
async fn push(raw: &mut RawPeer, most: usize) -> usize {
    let mut taken = 0;
    while taken < most && raw.write(b"x").now_or_never().is_some_and(|written| written.is_ok()) {
        taken += 1;
        if taken % 64 == 0 {
            // Yields to the server.
            sleep(Duration::from_millis(1)).await;
        }
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn r02_the_longest_message_is_waited_for_and_no_longer_one() {
    const PIPE: usize = 256;
    let world = World::with(ServerConfig::default(), PIPE, Router::new());
    let mut events = world.hub.events();
    for length in [30_720_u16, 40, 1] {
        let begun = Instant::now();
        let mut raw = world.silent().await;
        raw.hear().await.unwrap();
        raw.write(&length.to_be_bytes()).await.unwrap();
        // All of the message except its last byte: the server waits for it until the deadline.
        let waits = push(&mut raw, usize::from(length) - 1).await;
        assert_eq!(waits, usize::from(length) - 1);
        assert_eq!(failure(&mut events).await, HandshakeFailure::Timeout);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
    // The peer sends without end. The server reads to the end of the message and no further.
    let mut raw = world.silent().await;
    raw.hear().await.unwrap();
    raw.write(&30_720_u16.to_be_bytes()).await.unwrap();
    let taken = push(&mut raw, 100_000).await;
    assert!(taken <= 30_720 + PIPE, "{taken}");
    assert_eq!(failure(&mut events).await, HandshakeFailure::Protocol(HandshakeError::NotAnObject));
}

/// Sends one of them to a server, and returns its answer and the time until the end.
async fn say(addr: &str, json: &[u8]) -> (Vec<u8>, Duration) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let mut hello = [0; 2];
    stream.read_exact(&mut hello).await.unwrap();
    let mut rest = vec![0; usize::from(u16::from_be_bytes(hello))];
    stream.read_exact(&mut rest).await.unwrap();
    let begun = Instant::now();
    let length = u16::try_from(json.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), json].concat()).await.unwrap();
    let mut answer = vec![0; 2 + ACK.len()];
    let read = stream.read_exact(&mut answer).await.is_ok();
    (if read { answer.split_off(2) } else { Vec::new() }, begun.elapsed())
}

#[tokio::test]
async fn r09_five_hundred_hellos_are_answered_or_closed_at_once() {
    let (log, _guard) = Log::begin();
    let config = ServerConfig::default().addr("127.0.0.1:0");
    let server = Server::bind(config, Router::new()).await.unwrap();
    let (hub, addr) = (server.hub(), server.local_addr().to_string());
    let running = tokio::spawn(server.run());
    let mut events = hub.events();
    let hellos = hellos();
    assert!(hellos.len() >= 500);
    for (json, verdict) in hellos {
        let shown = String::from_utf8_lossy(&json[..json.len().min(80)]).into_owned();
        // A busy machine gets another try. A server that is slow by itself is slow again.
        let mut tries = 0;
        loop {
            let (answer, after) = say(&addr, &json).await;
            match verdict {
                Verdict::Accepted => assert_eq!(answer, ACK.as_bytes(), "{shown}"),
                _ => assert_eq!(answer, b"", "{shown}"),
            }
            if verdict != Verdict::Accepted {
                let told = match failure(&mut events).await {
                    HandshakeFailure::Protocol(HandshakeError::NotAnObject) => Verdict::NotAnObject,
                    HandshakeFailure::Protocol(HandshakeError::BadLength { length: 0, .. }) => {
                        verdict
                    }
                    HandshakeFailure::Protocol(HandshakeError::IncompatibleVersion { .. }) => {
                        Verdict::Version
                    }
                    reason => panic!("{shown}: {reason:?}"),
                };
                assert_eq!(told, verdict, "{shown}");
            }
            tries += 1;
            if after <= Duration::from_millis(50) {
                break;
            }
            assert!(tries < 3, "{shown}: closed after {after:?}");
        }
    }
    assert!(log.lines("the handshake failed").len() >= 300);
    let longest = log.check();
    assert!(longest <= 256, "{longest} characters");
    assert!(!running.is_finished());
}
