//! The load: one thread, cheap, the same for every server.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use veltix_core::{ClientHandshake, ClientStep, Frame, RequestId};

const ECHO: u16 = 200;
const SINK: u16 = 201;
const BODY: usize = 64;
const CLIENTS: usize = 100;
const IDLE: usize = 5_000;
/// Each measurement lasts about this long.
const LASTS: Duration = Duration::from_millis(1_500);

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Workload {
    /// One client, one echo in flight: round trips a second.
    RoundTrip,
    /// 100 connections with 32 echoes in flight each.
    Echo,
    /// 100 clients that only send, 16 KiB a write.
    Ingest,
    /// 5 000 connections that are idle after one echo: bytes that the server holds for each.
    Idle,
}

/// What a measurement gave.
pub(crate) struct Measured {
    /// Thousands of messages a second.
    pub(crate) rate: f64,
    /// The connections, when they are to stay open.
    pub(crate) idle: Vec<TcpStream>,
}

impl Workload {
    pub(crate) const ALL: [Self; 4] = [Self::RoundTrip, Self::Echo, Self::Ingest, Self::Idle];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RoundTrip => "echo, 1 in flight",
            Self::Echo => "echo, 100 × 32 in flight",
            Self::Ingest => "ingest, 100 clients",
            Self::Idle => "idle connection",
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Idle => "B",
            _ => "k messages/s",
        }
    }

    /// Puts the load on a server.
    pub(crate) fn measure(self, addr: &str) -> Measured {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(async {
            let (clients, batch) = match self {
                Self::RoundTrip => (1, 1),
                Self::Echo => (CLIENTS, 32),
                Self::Ingest => (CLIENTS, 16 * 1024 / (15 + BODY)),
                Self::Idle => (IDLE, 1),
            };
            let mut streams = Vec::new();
            for _ in 0..clients {
                streams.push(connect(addr).await);
            }
            let start = Instant::now();
            if let Self::Idle = self {
                for stream in &mut streams {
                    echo_once(stream, &frames(ECHO, 1)).await;
                }
                return Measured { rate: 0.0, idle: streams };
            }
            let mut running = JoinSet::new();
            for stream in streams {
                match self {
                    Self::Ingest => running.spawn(ingest(stream, batch, start)),
                    _ => running.spawn(echo(stream, batch, start)),
                };
            }
            let messages: u64 = running.join_all().await.into_iter().sum();
            let rate = messages as f64 / start.elapsed().as_secs_f64() / 1000.0;
            Measured { rate, idle: Vec::new() }
        })
    }
}

async fn connect(addr: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket has options");
    let mut handshake = ClientHandshake::new();
    let mut buffer = BytesMut::new();
    loop {
        match handshake.receive(&mut buffer).expect("the server speaks Veltix") {
            ClientStep::Wait => {
                assert_ne!(stream.read_buf(&mut buffer).await.expect("it is there"), 0);
            }
            ClientStep::Send(bytes) => stream.write_all(&bytes).await.expect("it is there"),
            ClientStep::Done(_) => return stream,
        }
    }
}

fn frames(code: u16, count: usize) -> BytesMut {
    let frame = Frame::new(code, RequestId::new(1), vec![b'x'; BODY].into());
    let mut bytes = BytesMut::new();
    for _ in 0..count {
        frame.write_to(&mut bytes);
    }
    bytes
}

/// Sends the bytes, reads as many back, and checks that they are the same.
async fn echo_once(stream: &mut TcpStream, bytes: &[u8]) {
    let mut back = vec![0; bytes.len()];
    stream.write_all(bytes).await.expect("the server takes it");
    stream.read_exact(&mut back).await.expect("the server answers");
    assert_eq!(bytes, back, "an echo is the same");
}

/// One batch after the other, each echoed before the next.
async fn echo(mut stream: TcpStream, batch: usize, start: Instant) -> u64 {
    let bytes = frames(ECHO, batch);
    let mut back = vec![0; bytes.len()];
    let mut messages = 0;
    while start.elapsed() < LASTS {
        stream.write_all(&bytes).await.expect("the server takes it");
        stream.read_exact(&mut back).await.expect("the server answers");
        messages += batch as u64;
    }
    assert_eq!(bytes, back[..], "an echo is the same");
    messages
}

/// Sends as fast as the server takes it; an echo at the end shows that it has taken all.
async fn ingest(mut stream: TcpStream, batch: usize, start: Instant) -> u64 {
    let bytes = frames(SINK, batch);
    let mut messages = 0;
    while start.elapsed() < LASTS {
        stream.write_all(&bytes).await.expect("the server takes it");
        messages += batch as u64;
    }
    echo_once(&mut stream, &frames(ECHO, 1)).await;
    messages
}
