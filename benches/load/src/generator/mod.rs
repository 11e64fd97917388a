//! The load generator: cheap, on one thread, and the same for every server.
//!
//! It writes prepared bytes and counts the bytes that come back. Their content is checked before
//! anything is measured ([`verify`](crate::verify)).

mod audience;
mod connects;
mod crowd;
mod echo;
mod fair;
mod idle;
mod ingest;
mod large;
mod latency;
mod link;
mod nodes;
mod rooms;
mod round_trip;
mod stalled;

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

pub(crate) use self::nodes::{Nodes, Passed};
pub(crate) use self::rooms::Rooms;
use crate::process::{self, ServerProcess};
use crate::socket::Socket;
use crate::wire::{Kind, Role, Selected, Wire};
use crate::workload::{Workload, WorkloadKind};

/// The bytes of a body, unless a workload has its own size.
const BODY: usize = 64;

/// The connections after which a server has allocated its fixed memory.
pub(crate) const FIRST: usize = 64;

/// The silence after which a measurement has failed.
const SILENCE: Duration = Duration::from_secs(20);

/// The time limit for connecting all peers. A workload for which a server needs longer is skipped
/// for it.
pub(crate) const GATHER: Duration = Duration::from_secs(60);

/// The messages after which a measurement ends early.
const MOST: u64 = 1_000_000_000;

/// A running server.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) addr: SocketAddr,
    pub(crate) wire: &'a dyn Wire,
    /// The process of the server, if this program has started it.
    pub(crate) process: Option<&'a ServerProcess>,
}

/// The result of a measurement.
#[derive(Debug)]
pub(crate) struct Measured {
    /// In the unit of the workload.
    pub(crate) value: f64,
    /// The latencies in nanoseconds, where they are the result.
    pub(crate) latencies: Option<Histogram<u64>>,
    pub(crate) note: Option<String>,
}

impl From<f64> for Measured {
    fn from(value: f64) -> Self {
        Self { value, latencies: None, note: None }
    }
}

/// Runs a workload on a server for about this time, after a warm-up of a tenth of it.
pub(crate) fn measure(
    workload: &Workload,
    target: Target<'_>,
    lasts: Duration,
) -> Result<Measured> {
    let peers = workload.peers;
    let measured = match workload.kind {
        WorkloadKind::RoundTrip { one_cpu } => {
            let cpu = if one_cpu { 0 } else { 1 };
            pinned(cpu, || round_trip::measure(target, lasts))?.into()
        }
        WorkloadKind::Ingest => ingest::measure(target, peers, lasts)?.into(),
        WorkloadKind::Echo => echo::measure(target, peers, lasts)?.into(),
        WorkloadKind::Fanout { in_flight } => {
            audience::measure(target, Kind::Publish, peers, in_flight, lasts)?.into()
        }
        WorkloadKind::Tag => {
            let tagged = peers / 100;
            let _others = join_many(target, Role::Subscriber, peers - tagged)?;
            audience::measure(target, Kind::PublishTag, tagged, 1, lasts)?.into()
        }
        WorkloadKind::Large => large::measure(target, lasts)?.into(),
        WorkloadKind::Idle => idle::measure(target, 0, peers)?.into(),
        WorkloadKind::Connects => connects::measure(target, peers, lasts)?.into(),
        WorkloadKind::Latency => latency::measure(target, peers, lasts)?,
        WorkloadKind::Stalled => stalled::measure(target, peers, lasts)?,
        WorkloadKind::Fair => fair::measure(target, peers, lasts)?,
        WorkloadKind::OwnRoundTrip | WorkloadKind::OwnEcho => {
            anyhow::bail!(
                "{} needs a client of its own, so the generator cannot run it",
                workload.id
            )
        }
    };
    Ok(measured)
}

/// Returns the resident bytes of each idle connection. The fixed memory of a server is not part of
/// it, since the first connections do not count.
pub(crate) fn idle(target: Target<'_>, peers: usize) -> Result<f64> {
    idle::measure(target, FIRST, peers)
}

/// Returns the deliveries per second of a broadcast to `peers` peers with one publish in flight.
pub(crate) fn broadcast(target: Target<'_>, peers: usize, lasts: Duration) -> Result<f64> {
    Ok(audience::measure(target, Kind::Publish, peers, 1, lasts)?)
}

/// Makes our server select the 1 % of `peers` peers that have the tag.
pub(crate) fn select(target: Target<'_>, peers: usize) -> Result<Selected> {
    let tagged = peers / 100;
    let _others = join_many(target, Role::Subscriber, peers - tagged)?;
    let _tagged = join_many(target, Role::Tagged, tagged)?;
    let selected = Selected::ask(&mut join(target, Role::Quiet)?)?;
    anyhow::ensure!(selected.peers == tagged as f64, "{} peers were selected", selected.peers);
    Ok(selected)
}

/// Runs a task on a thread that is bound to one processor.
fn pinned<T: Send>(cpu: usize, task: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            process::pin(cpu)?;
            task().context("the server did not answer")
        });
        thread.join().expect("the task panicked")
    })
}

/// Connects and joins by a blocking socket with timeouts.
pub(crate) fn join(target: Target<'_>, role: Role) -> io::Result<Socket> {
    let stream = TcpStream::connect_timeout(&target.addr, SILENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut stream = match target.wire.is_encrypted() {
        true => Socket::encrypt(stream)?,
        false => Socket::Plain(stream),
    };
    target.wire.join(&mut stream, role)?;
    Ok(stream)
}

fn join_many(target: Target<'_>, role: Role, count: usize) -> io::Result<Vec<Socket>> {
    let mut joined = gather(count, || join(target, role))?;
    let unrest = target.wire.unrest();
    if unrest > Duration::ZERO {
        std::thread::sleep(unrest);
        for stream in &mut joined {
            discard(stream)?;
        }
    }
    Ok(joined)
}

/// Makes `count` connections, or fails if that takes too long.
fn gather(
    count: usize,
    mut connect: impl FnMut() -> io::Result<Socket>,
) -> io::Result<Vec<Socket>> {
    let start = Instant::now();
    let mut gathered = Vec::with_capacity(count);
    while gathered.len() < count {
        if start.elapsed() > GATHER {
            let text = format!("it took {} connections in {GATHER:?}, not {count}", gathered.len());
            return Err(io::Error::new(ErrorKind::TimedOut, text));
        }
        gathered.push(connect()?);
    }
    Ok(gathered)
}

/// The average time that one connection takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joining {
    /// The time of a connection that receives broadcasts, or of any if the server has none.
    pub(crate) join: Duration,
    /// The time of a connection as in [`WorkloadKind::Idle`], or zero if the server takes no part
    /// in it.
    pub(crate) idle: Duration,
}

impl Joining {
    /// Connects some peers and closes them again.
    pub(crate) fn of(target: Target<'_>, can: &[WorkloadKind]) -> io::Result<Self> {
        let broadcasts = can.iter().any(|kind| matches!(kind, WorkloadKind::Fanout { .. }));
        let role = if broadcasts { Role::Subscriber } else { Role::Quiet };
        let mut joining = Self { join: average(|| join(target, role))?, idle: Duration::ZERO };
        if can.contains(&WorkloadKind::Idle) {
            joining.idle = average(|| idle::join_idle(target))?;
        }
        Ok(joining)
    }
}

fn average(mut connect: impl FnMut() -> io::Result<Socket>) -> io::Result<Duration> {
    const JOINS: u32 = 16;
    let start = Instant::now();
    (0..JOINS).try_for_each(|_| connect().map(drop))?;
    Ok(start.elapsed() / JOINS)
}

/// Reads and drops the available bytes without waiting for more.
fn discard(stream: &mut Socket) -> io::Result<()> {
    stream.tcp().set_nonblocking(true)?;
    let mut scratch = [0; 4096];
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    stream.tcp().set_nonblocking(false)
}

/// The limits in time and in messages of a measurement.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: Instant,
    lasts: Duration,
}

impl Span {
    fn begin(lasts: Duration) -> Self {
        Self { start: Instant::now(), lasts }
    }

    fn is_over(&self, messages: u64) -> bool {
        self.start.elapsed() >= self.lasts || messages >= MOST
    }

    /// Returns `things` per second since the start.
    fn rate(&self, things: u64) -> f64 {
        things as f64 / self.start.elapsed().as_secs_f64()
    }
}

/// Runs `pass` for a tenth of the time as a warm-up, and then for the whole time.
fn after_warm_up<T>(lasts: Duration, mut pass: impl FnMut(Span) -> io::Result<T>) -> io::Result<T> {
    pass(Span::begin(lasts / 10))?;
    pass(Span::begin(lasts))
}

/// The error of a server that was silent for too long.
fn silent() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the server was silent for too long")
}

/// The error of a connection that the server has closed.
fn ended() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the server ended a connection")
}

/// Subtracts `answers` from the awaited answers.
fn answered(awaited: &mut usize, answers: usize) -> io::Result<()> {
    let rest = awaited.checked_sub(answers);
    *awaited =
        rest.ok_or_else(|| io::Error::other("the server sent more answers than requests"))?;
    Ok(())
}

/// Makes a histogram of nanoseconds, up to a minute, with three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}
