//! R23 and R28: slow readers, and readers on a slow link.

use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, BytesMut};
use futures::future::join_all;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;
use veltix::{
    Client, ClientConfig, CloseReason, Event, EventStream, Hub, Message, Router, ServerConfig, all,
    tag,
};
use veltix_core::FrameDecoder;

use super::honest::{Honest, dial, serve, unharmed};
use crate::support::OTHER;
use crate::support::alone::{self, Alone, alone, measured, mib};

const MIB: usize = 1 << 20;

/// The number of reading peers of a broadcast.
const READERS: usize = 99;

const MESSAGES: usize = 10_000;

const LENGTH: usize = 4 * 1024;

/// The maximum number of messages in flight: the publisher is as fast as its readers, so that only
/// the deliberately slow reader is slow.
const WINDOW: usize = 32;

/// Delivery times in steps of a tenth of a millisecond: the memory does not grow with their number.
struct Histogram(Vec<AtomicUsize>);

impl Histogram {
    const STEP: Duration = Duration::from_micros(100);

    fn new() -> Self {
        Self((0..20_000).map(|_| AtomicUsize::new(0)).collect())
    }

    fn add(&self, took: Duration) {
        let step = took.as_nanos() / Self::STEP.as_nanos();
        let step = usize::try_from(step).unwrap().min(self.0.len() - 1);
        self.0[step].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of deliveries and the 99th percentile of their times.
    fn p99(&self) -> (usize, Duration) {
        let steps: Vec<_> = self.0.iter().map(|step| step.load(Ordering::Relaxed)).collect();
        let all: usize = steps.iter().sum();
        let mut sum = 0;
        let reaches = |many: &usize| {
            sum += many;
            sum * 100 >= all * 99
        };
        let step = steps.iter().position(reaches).unwrap();
        (all, Self::STEP * (step as u32 + 1))
    }
}

/// Reads numbered messages to the last of them, and records the delivery time of each.
async fn read(stream: StdStream, begun: Instant, got: &AtomicUsize, took: &Histogram) {
    stream.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(stream).unwrap();
    let (mut decoder, mut buffer) = (FrameDecoder::new(MIB), BytesMut::new());
    let mut next = 0;
    while next < MESSAGES {
        assert!(
            stream.read_buf(&mut buffer).await.unwrap() > 0,
            "an honest reader is disconnected"
        );
        while let Some(message) = decoder.decode(&mut buffer).unwrap() {
            let mut body = message.body().clone();
            assert_eq!(body.get_u32() as usize, next, "all messages, in order");
            took.add(begun.elapsed().saturating_sub(Duration::from_nanos(body.get_u64())));
            next += 1;
            got.store(next, Ordering::Relaxed);
        }
    }
}

/// Broadcasts to the readers and one more peer, which may not read. Returns the 99th percentile of
/// the delivery times.
async fn broadcast(hub: &Hub, addr: SocketAddr, stalls: bool) -> Duration {
    let begun = Instant::now();
    let mut streams: Vec<_> = (0..=READERS).map(|_| dial(addr).unwrap()).collect();
    while hub.count(all()) != Ok(READERS + 1) {
        sleep(Duration::from_millis(1)).await;
    }
    let stalled = stalls.then(|| streams.pop());
    let readers = streams.len();
    let took = Arc::new(Histogram::new());
    let gots: Arc<Vec<_>> = Arc::new((0..readers).map(|_| AtomicUsize::new(0)).collect());
    let (counts, times) = (Arc::clone(&gots), Arc::clone(&took));
    let reading = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = |(stream, got)| read(stream, begun, got, &times);
        runtime.block_on(join_all(streams.into_iter().zip(&*counts).map(read)));
    });
    for number in 0..MESSAGES {
        let slowest = || gots.iter().map(|got| got.load(Ordering::Relaxed)).min();
        while slowest().is_some_and(|got| got + WINDOW <= number) {
            sleep(Duration::from_millis(1)).await;
            assert!(!reading.is_finished());
        }
        let mut body = BytesMut::with_capacity(LENGTH);
        body.put_u32(number as u32);
        body.put_u64(begun.elapsed().as_nanos() as u64);
        body.resize(LENGTH, 7);
        hub.broadcast(&Message::new(OTHER, body.freeze())).unwrap();
    }
    reading.join().unwrap();
    drop(stalled);
    while hub.count(all()) != Ok(0) {
        sleep(Duration::from_millis(1)).await;
    }
    let (deliveries, p99) = took.p99();
    assert_eq!(deliveries, readers * MESSAGES);
    p99
}

/// Returns the number of `SlowConsumer` events per reader and the number of disconnects, of the
/// peers that have left.
async fn told(events: &mut EventStream) -> (usize, usize) {
    let (mut slow, mut cut, mut left) = (0, 0, 0);
    while left <= READERS {
        match events.next().await.unwrap() {
            Event::Connected { .. } | Event::Dropped { .. } => {}
            Event::SlowConsumer { .. } => slow += 1,
            Event::Disconnected { outcome, .. } => {
                left += 1;
                cut += usize::from(outcome.reason == CloseReason::SlowConsumer);
            }
            event => panic!("{event:?}"),
        }
    }
    (slow, cut)
}

#[test]
#[ignore = "a ratio of times: `.ci/run` has it run alone"]
fn r23_a_stalled_reader_delays_none_of_the_others() {
    alone!(Alone::within(Duration::from_secs(200)), async {
        let (hub, addr) = serve(ServerConfig::default(), Router::new()).await;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let beside = broadcast(&hub, addr, false).await;
            let mut events = hub.events();
            let before = alone::memory();
            alone::reset_peak();
            let attacked = broadcast(&hub, addr, true).await;
            let grown = alone::peak().saturating_sub(before);
            assert_eq!(told(&mut events).await, (1, 1), "one event for the stalled reader");
            measured(
                23,
                format_args!(
                    "{READERS} got {MESSAGES} in order, p99 {attacked:.1?}, {beside:.1?} without; {} more",
                    mib(grown)
                ),
            );
            assert!(grown <= 32 * MIB, "{grown}");
            if attacked <= (2 * beside).max(Duration::from_millis(10)) {
                return;
            }
            assert!(attempts < 3, "{attacked:?}, beside {beside:?}");
        }
    });
}

/// Starts a link that carries `a_second` bytes per second in each direction, for one connection.
async fn slow_line(to: SocketAddr, a_second: usize) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        // Waiting data waits at the sender.
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        let far = socket.connect(to).await.unwrap();
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::select! {
            _ = forward(near_in, far_out, a_second) => {}
            _ = forward(far_in, near_out, a_second) => {}
        }
    });
    addr
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    a_second: usize,
) -> std::io::Result<()> {
    let mut piece = vec![0; a_second / 100];
    loop {
        match from.read(&mut piece).await? {
            0 => return Ok(()),
            read => to.write_all(&piece[..read]).await?,
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
#[ignore = "a ratio of times: `.ci/run` has it run alone"]
fn r28_a_huge_message_on_a_slow_line_holds_up_nobody_else() {
    /// Ten megabits per second.
    const LINE: usize = 10_000_000 / 8;
    /// Three of these timeouts are shorter than the transfer of the message.
    const HEARTBEAT: Duration = Duration::from_secs(2);
    alone!(Alone::within(Duration::from_secs(100)), async {
        let config = ServerConfig::default().heartbeat(Some(HEARTBEAT));
        let (hub, addr) = serve(config, Router::new()).await;
        let config = ClientConfig::default().heartbeat(Some(HEARTBEAT));
        let config = config.addr(slow_line(addr, LINE).await.to_string());
        let came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&came);
        let router = Router::new().route(OTHER, move |message: Message| {
            count.fetch_add(message.body().len(), Ordering::Relaxed);
        });
        let client = Client::connect(config, router).await.unwrap();
        hub.tag(all(), "slow").unwrap();
        let length = 10 * MIB - 15;
        unharmed(
            28,
            2,
            || {
                came.store(0, Ordering::Relaxed);
                let begun = Instant::now();
                let served = Honest::during(addr, || {
                    hub.to(tag("slow")).send(&Message::new(OTHER, vec![7; length])).unwrap();
                    while came.load(Ordering::Relaxed) < length {
                        thread::sleep(Duration::from_millis(10));
                        assert!(client.is_connected(), "its heartbeat is not missed");
                    }
                });
                measured(28, format_args!("10 MiB in {:.1?}", begun.elapsed()));
                assert!(begun.elapsed() > 3 * HEARTBEAT);
                served
            },
            || Honest::during(addr, || thread::sleep(Duration::from_secs(2))),
        );
        assert_eq!(hub.count(tag("slow")), Ok(1));
    });
}
