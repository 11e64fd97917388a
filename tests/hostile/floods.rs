//! R10, R11 and R12: peers that send excessive amounts of data.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};
use veltix::{CloseReason, Event, PING, PONG, Router, ServerConfig, all};

use super::Log;
use super::honest::{Honest, dial, join, serve, shake_hands, unharmed};
use crate::support::alone::{self, Alone, alone, measured, mib};
use crate::support::{OTHER, frame, until};

const MIB: usize = 1 << 20;

const MINUTE: Duration = Duration::from_secs(60);

/// The duration of an attack.
const ATTACK: Duration = Duration::from_secs(3);

/// Writes these bytes repeatedly, and reconnects whenever the connection is closed. Returns the
/// number of written bytes.
fn pour(addr: SocketAddr, bytes: &[u8], at_most: Option<usize>) -> usize {
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < ATTACK {
        let Ok(mut stream) = dial(addr) else { continue };
        stream.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut rest = bytes;
        while begun.elapsed() < ATTACK {
            if let Some(at_most) = at_most {
                // It reconnects as fast as an ordinary client, and no faster.
                let due = at_most as f64 * begun.elapsed().as_secs_f64() / ATTACK.as_secs_f64();
                if sent as f64 > due {
                    thread::sleep(Duration::from_micros(200));
                    continue;
                }
            }
            match stream.write(&rest[..rest.len().min(64 * 1024)]) {
                Ok(written) => {
                    sent += written;
                    rest = if written == rest.len() { bytes } else { &rest[written..] };
                }
                Err(error) if is_full(&error) => {}
                Err(_) => break,
            }
        }
    }
    sent
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[test]
#[ignore = "a ratio of times: `.ci/run` has it run alone"]
fn r10_a_flood_of_unknown_types_harms_nobody() {
    alone!(Alone::within(2 * MINUTE), async {
        let log = Log::everywhere();
        let (hub, addr) = serve(ServerConfig::default(), Router::new().route(OTHER, || {})).await;
        let mut events = hub.events();
        // Each connection sends as many types as there are, so it is closed before the end.
        let mut flood = BytesMut::new();
        for code in (300..=u16::MAX).filter(|code| *code != OTHER.code()) {
            flood.extend_from_slice(&frame(code, 7, ""));
        }
        let honest = frame(OTHER.code(), 7, "").repeat(10_000);
        let (sent, lines) = (Cell::new(0), Cell::new(None));
        unharmed(
            10,
            2,
            || {
                let served = Honest::during(addr, || sent.set(pour(addr, &flood, None)));
                // A later try falls into another window of the rate-limited log.
                lines.set(lines.get().or_else(|| Some(log.lines("veltix_tokio").len())));
                served
            },
            || Honest::during(addr, || _ = pour(addr, &honest, Some(sent.get()))),
        );
        let closed = |event| match event {
            Event::Disconnected { outcome, .. } if outcome.reason == CloseReason::UnknownCodes => {
                Some(())
            }
            Event::Lagged(_) => Some(()),
            _ => None,
        };
        until(&mut events, closed).await;
        let lines = lines.get().unwrap();
        measured(10, format_args!("{lines} log lines for {} bytes of unknown", sent.get()));
        assert!((1..=20).contains(&lines), "{lines}");
    });
}

#[test]
#[ignore = "a ratio of times: `.ci/run` has it run alone"]
fn r11_a_flood_of_empty_frames_waits_for_its_handler() {
    alone!(Alone::within(2 * MINUTE), async {
        let slow = || async { sleep(Duration::from_millis(1)).await };
        let router = Router::new().route(OTHER, slow).fallback(|| {});
        let (_hub, addr) = serve(ServerConfig::default(), router).await;
        let empty = frame(OTHER.code(), 7, "").repeat(10_000);
        let handled = frame(300, 7, "").repeat(10_000);
        let before = alone::memory();
        let mut grown = 0;
        let sent = Cell::new(0);
        unharmed(
            11,
            3,
            || {
                let served = Honest::during(addr, || sent.set(pour(addr, &empty, None)));
                grown = grown.max(alone::peak().saturating_sub(before));
                served
            },
            || Honest::during(addr, || _ = pour(addr, &handled, Some(sent.get()))),
        );
        measured(11, format_args!("{} more, {} got rid of", mib(grown), mib(sent.get())));
        assert!(grown <= 24 * MIB, "{grown}");
    });
}

#[test]
fn r12_pings_whose_answers_nobody_reads_are_not_read_for_ever() {
    const PINGS: usize = 1_000_000;
    const STALL: Duration = Duration::from_secs(2);
    alone!(Alone::within(MINUTE), async {
        let (hub, addr) =
            serve(ServerConfig::default().write_stall(Some(STALL)), Router::new()).await;
        // An honest batch is answered completely.
        let (mut honest, peer) = join(&hub, addr);
        let pings = frame(PING.code(), 7, "").repeat(546);
        honest.write_all(&pings).unwrap();
        let mut pongs = vec![0; pings.len()];
        honest.read_exact(&mut pongs).unwrap();
        assert_eq!(pongs, frame(PONG.code(), 7, "").repeat(546));
        drop(honest);
        peer.closed().await;

        // The kernel must not buffer all answers for the peer.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let stream = socket.connect(addr).await.unwrap().into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        shake_hands(&stream).unwrap();
        while hub.count(all()) != Ok(1) {
            sleep(Duration::from_millis(1)).await;
        }
        let peer = hub.list(all()).unwrap().remove(0);
        let pings = frame(PING.code(), 7, "").repeat(PINGS);
        let before = alone::memory();
        alone::reset_peak();
        let flood = tokio::task::spawn_blocking(move || pour_until_closed(stream, &pings));
        let end = timeout(MINUTE, peer.closed()).await.expect("it is closed");
        let full = flood.await.unwrap().elapsed();
        let grown = alone::peak().saturating_sub(before);
        measured(
            12,
            format_args!(
                "closed {full:.2?} after the last byte, stall {STALL:?}; {} more",
                mib(grown)
            ),
        );
        assert_eq!(end.reason, CloseReason::WriteStalled);
        assert!(full <= STALL + Duration::from_secs(1), "{full:?}");
        assert!(grown <= 16 * MIB, "{grown}");
    });
}

/// Writes until the stream fails. Returns the time of the last accepted byte.
fn pour_until_closed(mut stream: TcpStream, mut rest: &[u8]) -> Instant {
    stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut last = Instant::now();
    loop {
        assert!(!rest.is_empty(), "the server never stops reading");
        match stream.write(&rest[..rest.len().min(64 * 1024)]) {
            Ok(written) => (rest, last) = (&rest[written..], Instant::now()),
            Err(error) if is_full(&error) => {}
            Err(_) => return last,
        }
    }
}
