//! R29, R30 and R31: handlers that panic, that never return, and that block a worker.

use std::future::pending;
use std::io::{Read, Write};
use std::panic;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};
use veltix::handler::Handler;
use veltix::{Peer, Router, ServerConfig, all};

use super::Log;
use super::honest::{Honest, dial, join, serve, unharmed};
use crate::support::alone::{self, Alone, alone, measured};
use crate::support::{OTHER, frame};

const MINUTE: Duration = Duration::from_secs(60);

/// A type whose handler runs on a thread of the pool.
const BLOCKING: veltix::MessageType = veltix::MessageType::new(202, "blocking", "");

/// A type whose messages are handled one at a time.
const LONE: veltix::MessageType = veltix::MessageType::new(203, "lone", "");

fn panics() {
    panic!("of a test");
}

#[test]
fn r29_a_thousand_panics_touch_nobody_else() {
    const PANICS: usize = 1_000;
    alone!(Alone::within(MINUTE), async {
        panic::set_hook(Box::new(|_| {}));
        let router = Router::new().route(OTHER, panics).route_blocking(BLOCKING, panics);
        let (hub, addr) = serve(ServerConfig::default(), router).await;
        let (tasks, begun) = (alone::tasks(), Instant::now());
        let served = Honest::during(addr, || {
            for number in 0..PANICS {
                let mut stream = dial(addr).unwrap();
                let code = if number % 2 == 0 { OTHER } else { BLOCKING };
                stream.write_all(&frame(code.code(), 7, "")).unwrap();
                // Only the peer's own connection ends.
                let end = stream.read(&mut [0]);
                assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
            }
        });
        measured(
            29,
            format_args!(
                "{} panics in {:.1?}, {} honest calls, {} errors",
                hub.handler_panics(),
                begun.elapsed(),
                served.calls,
                served.errors
            ),
        );
        assert_eq!(hub.handler_panics(), PANICS as u64);
        assert_eq!(served.errors, 0);
        let gone = async {
            while alone::tasks() > tasks || hub.count(all()) != Ok(0) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(MINUTE / 6, gone).await.expect("nothing is left of them");
    });
}

#[test]
#[ignore = "a ratio of times: `.ci/run` has it run alone"]
fn r30_calls_that_hang_hold_their_connection_and_nothing_else() {
    const CALLS: usize = 10_000;
    const DRAIN: Duration = Duration::from_secs(1);
    alone!(Alone::within(2 * MINUTE), async {
        let config = ServerConfig::default().drain_timeout(DRAIN);
        let router = Router::new().route(OTHER, pending::<()>);
        let (hub, addr) = serve(config, router).await;
        let hang = |code: u16| {
            let mut stream = dial(addr).unwrap();
            let calls = frame(code, 7, vec![7; 1_000]).repeat(CALLS);
            stream.set_nonblocking(true).unwrap();
            let until = std::time::Instant::now() + Duration::from_secs(2);
            let mut rest = &calls[..];
            while std::time::Instant::now() < until {
                match stream.write(rest) {
                    Ok(written) if written == rest.len() => rest = &calls,
                    Ok(written) => rest = &rest[written..],
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
                if code != OTHER.code() {
                    // The same number of bytes, sent as calls that complete.
                    thread::sleep(Duration::from_millis(20));
                }
            }
            stream
        };
        let mut hung = None;
        unharmed(
            30,
            2,
            || Honest::during(addr, || hung = Some(hang(OTHER.code()))),
            || Honest::during(addr, || thread::sleep(Duration::from_secs(2))),
        );
        let waiting = |peer: &Peer| peer.stats().received.waiting;
        let waiting = hub.list(all()).unwrap().iter().map(waiting).max().unwrap();
        let begun = Instant::now();
        let report = hub.shutdown().await;
        measured(30, format_args!("{waiting} messages held, shutdown in {:.2?}", begun.elapsed()));
        // One handler runs and 64 messages wait. The messages of the same read also wait, up to one
        // buffer.
        assert!((65..=65 + 64).contains(&waiting), "{waiting}");
        assert!(begun.elapsed() <= DRAIN + Duration::from_secs(1), "{report:?}");
    });
}

#[test]
fn r31_a_handler_that_holds_a_worker_is_named() {
    const BLOCKS: Duration = Duration::from_millis(200);
    alone!(Alone::within(MINUTE), async {
        let log = Log::everywhere();
        let threads = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = std::sync::Arc::clone(&threads);
        let blocks = || async { thread::sleep(BLOCKS) };
        let lone = || async {
            thread::sleep(BLOCKS);
            Bytes::new()
        };
        let router = Router::new().route(OTHER, blocks).route(LONE, lone).route_blocking(
            BLOCKING,
            move || {
                thread::sleep(BLOCKS);
                seen.lock().unwrap().push(thread::current().name().unwrap_or_default().to_owned());
            },
        );
        let (hub, addr) = serve(ServerConfig::default(), router).await;
        let (mut blocking, peer) = join(&hub, addr);
        blocking.write_all(&frame(BLOCKING.code(), 7, "")).unwrap();
        while peer.stats().received.handled < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(log.lines("WARN"), [""; 0], "a thread of the pool may be blocked");
        assert!(threads.lock().unwrap().iter().all(|name| name.starts_with("veltix-worker-")));
        let others = Honest::begin(addr);
        let mut stream = dial(addr).unwrap();
        let begun = Instant::now();
        stream.write_all(&frame(OTHER.code(), 7, "").repeat(20)).unwrap();
        let named = async {
            while log.lines("other").is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(1), named).await.expect("a warning that names it");
        let named = begun.elapsed();
        sleep(Duration::from_secs(2)).await;
        let served = others.end();
        let lines = log.lines("WARN");
        measured(
            31,
            format_args!(
                "named after {named:.2?}; {} calls of others, {} errors",
                served.calls, served.errors
            ),
        );
        assert_eq!(lines.len(), 1, "one line per interval: {lines:?}");
        assert!(lines[0].contains("on_blocking"), "{}", lines[0]);
        // A slow poll of a handler that is called alone is detected by the fourth call at the
        // latest.
        let mut lone = dial(addr).unwrap();
        for _ in 0..4 {
            let call = frame(LONE.code(), 7, "");
            lone.write_all(&call).unwrap();
            lone.read_exact(&mut call.clone()).unwrap();
        }
        assert_eq!(log.lines("lone").len(), 1, "{:?}", log.lines("WARN"));
        assert_eq!(served.errors, 0);
        assert!(served.calls > 0);
    });
}

/// A call that waited is alone in its turn. The message that began it was alone in another.
#[test]
fn r31_a_concurrent_call_that_holds_a_worker_after_its_wait_is_named() {
    const BLOCKS: Duration = Duration::from_millis(200);
    alone!(Alone::within(MINUTE), async {
        let log = Log::everywhere();
        let blocks = || async {
            sleep(Duration::from_millis(20)).await;
            thread::sleep(BLOCKS);
            Bytes::new()
        };
        // Three codes, since the log names each code once in a while.
        let router = Router::new()
            .route(OTHER, blocks.concurrent(2))
            .route(LONE, blocks.concurrent(2))
            .route(BLOCKING, blocks.concurrent(2));
        let (_hub, addr) = serve(ServerConfig::default(), router).await;
        let mut stream = dial(addr).unwrap();
        for (code, name) in [(OTHER, "other"), (LONE, "lone"), (BLOCKING, "blocking")] {
            let call = frame(code.code(), 7, "");
            stream.write_all(&call).unwrap();
            stream.read_exact(&mut call.clone()).unwrap();
            sleep(Duration::from_millis(50)).await;
            assert_eq!(log.lines(&format!("handlers={name}")).len(), 1, "{:?}", log.lines("WARN"));
        }
    });
}
