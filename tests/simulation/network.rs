//! A network inside the process, whose delays, slices, windows and faults come from a seed.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use fastrand::Rng;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use veltix::transport::{Connector, Listener, PeerAddr, Stream};

use super::ledger::Side;
use super::pipe::{Pipe, PipeReader, PipeWriter};
use super::record::Record;

/// The properties of a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// The maximum delay of bytes in milliseconds.
    pub(super) delay: u64,
    /// The maximum number of bytes in flight, in one direction of a connection.
    pub(super) window: usize,
    /// The maximum number of bytes that arrive together.
    pub(super) slice: usize,
}

/// A clone is a handle of the same network.
#[derive(Clone)]
pub(super) struct Network(Arc<Inner>);

struct Inner {
    record: Record,
    weather: Weather,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    /// The server that listens, if any.
    server: Option<UnboundedSender<Stream>>,
    lines: BTreeMap<u64, Line>,
}

/// A connection, which stays available after its end.
#[derive(Clone)]
pub(super) struct Line {
    /// The direction from the client to the server.
    pub(super) there: Arc<Pipe>,
    /// The direction from the server to the client.
    pub(super) back: Arc<Pipe>,
}

impl Line {
    /// Stalls both directions for this many milliseconds.
    pub(super) fn stall(&self, milliseconds: u64) {
        self.there.stall(milliseconds);
        self.back.stall(milliseconds);
    }

    /// Ends a stall.
    pub(super) fn heal(&self) {
        self.there.heal();
        self.back.heal();
    }

    /// Ends both directions at once; bytes in flight are lost.
    pub(super) fn reset(&self) {
        self.there.reset();
        self.back.reset();
    }
}

impl Network {
    pub(super) fn new(record: &Record, weather: Weather, rng: Rng) -> Self {
        let state = State { rng, server: None, lines: BTreeMap::new() };
        Self(Arc::new(Inner { record: record.clone(), weather, state: Mutex::new(state) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nobody panics with it")
    }

    /// Listens in place of the previous listener, until the new one is dropped.
    pub(super) fn listen(&self) -> SimulatedListener {
        let (server, connections) = unbounded_channel();
        self.lock().server = Some(server);
        SimulatedListener(connections)
    }

    /// Returns the pipe into which this side of a connection writes.
    pub(super) fn pipe(&self, line: u64, side: Side) -> Option<Arc<Pipe>> {
        let state = self.lock();
        let line = state.lines.get(&line)?;
        Some(Arc::clone(if side == Side::Client { &line.there } else { &line.back }))
    }

    /// Returns every connection so far, by its number, which is the address that both ends see.
    pub(super) fn lines(&self) -> BTreeMap<u64, Line> {
        self.lock().lines.clone()
    }
}

impl Connector for Network {
    async fn connect(&self) -> io::Result<Stream> {
        let record = &self.0.record;
        let delay = self.lock().rng.u64(0..=self.0.weather.delay);
        record.pause(delay).await;
        let mut state = self.lock();
        let number = state.lines.len() as u64 + 1;
        let mut pipe = |name| {
            let rng = state.rng.fork();
            Arc::new(Pipe::new(format!("{number}{name}"), record.clone(), self.0.weather, rng))
        };
        let (there, back) = (pipe('>'), pipe('<'));
        let stream = |reads: &Arc<Pipe>, writes: &Arc<Pipe>| {
            let (reader, writer) = (PipeReader::new(reads), PipeWriter::new(writes));
            Stream::new(reader, writer, PeerAddr::Memory(number))
        };
        let (ours, theirs) = (stream(&back, &there), stream(&there, &back));
        let arrives = state.server.as_ref().is_some_and(|server| server.send(theirs).is_ok());
        if !arrives {
            record.note(format_args!("nobody listens"));
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        state.lines.insert(number, Line { there, back });
        record.note(format_args!("{number} connects"));
        Ok(ours)
    }

    fn target(&self) -> String {
        "the simulated server".to_owned()
    }
}

/// The server's end of a network.
pub(super) struct SimulatedListener(UnboundedReceiver<Stream>);

impl Listener for SimulatedListener {
    async fn accept(&mut self) -> io::Result<Stream> {
        match self.0.recv().await {
            Some(stream) => Ok(stream),
            // Another server listens now.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(0)
    }
}
