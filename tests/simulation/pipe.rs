//! One direction of a simulated connection: it delays, slices, fills up, stalls and breaks, and
//! remembers every byte, so that what was said can be decoded without asking either end.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use veltix::transport::StreamWriter;

use super::network::Weather;
use super::record::Record;
use super::tap::Tap;

/// See the module.
pub(super) struct Pipe {
    name: String,
    record: Record,
    weather: Weather,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    /// What is on its way, and when each piece arrives.
    pieces: VecDeque<(Instant, Bytes)>,
    on_its_way: usize,
    last_arrival: Instant,
    /// Nothing arrives before, the end neither.
    stalled_until: Instant,
    /// When the reader learns that nothing more comes.
    end: Option<Instant>,
    is_reset: bool,
    /// What is written from now on reaches nobody.
    is_broken: bool,
    /// Every byte that was taken from the writer.
    written: Vec<u8>,
    /// Bytes that the reader has.
    read: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    pub(super) fn new(name: String, record: Record, weather: Weather, rng: Rng) -> Self {
        let now = Instant::now();
        let state = State {
            rng,
            pieces: VecDeque::new(),
            on_its_way: 0,
            last_arrival: now,
            stalled_until: now,
            end: None,
            is_reset: false,
            is_broken: false,
            written: Vec::new(),
            read: 0,
            reader: None,
            writer: None,
        };
        Self { name, record, weather, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Changes something that both ends may wait for.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.lock();
            change(&mut state);
            [state.reader.take(), state.writer.take()]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    pub(super) fn reset(&self) {
        self.record.note(format_args!("{} is reset", self.name));
        self.change(|state| {
            state.is_reset = true;
            state.pieces.clear();
        });
    }

    /// Ends it where it is, in the middle of a frame perhaps.
    pub(super) fn cut(&self) {
        self.record.note(format_args!("{} is cut", self.name));
        self.change(|state| {
            state.is_broken = true;
            state.pieces.clear();
            state.end = Some(Instant::now());
        });
    }

    /// Nothing arrives for so many milliseconds.
    pub(super) fn stall(&self, milliseconds: u64) {
        self.record.note(format_args!("{} stalls for {milliseconds}", self.name));
        let until = self.record.later(milliseconds);
        self.change(|state| state.stalled_until = state.stalled_until.max(until));
    }

    /// Nothing more is written.
    fn end(&self) {
        self.change(|state| {
            if state.end.is_none() {
                let at = self.arrival(state);
                state.end = Some(at);
            }
        });
    }

    /// When what is written now arrives: never before what was written earlier.
    fn arrival(&self, state: &mut State) -> Instant {
        let delay = state.rng.u64(0..=self.weather.delay);
        state.last_arrival = state.last_arrival.max(self.record.later(delay));
        state.last_arrival
    }

    /// What was stalled goes on.
    pub(super) fn heal(&self) {
        self.change(|state| state.stalled_until = Instant::now());
    }

    /// Whether a write would be taken.
    pub(super) fn has_room(&self) -> bool {
        self.lock().on_its_way < self.weather.window
    }

    /// How many bytes were taken from the writer.
    pub(super) fn written(&self) -> usize {
        self.lock().written.len()
    }

    /// What somebody on the wire saw, behind so many messages of the handshake.
    pub(super) fn tap(&self, of_handshake: usize) -> Tap {
        let state = self.lock();
        let tap = Tap::new(&state.written, state.read, of_handshake);
        if let Some(wrong) = tap.wrong {
            let after = tap.written.len();
            self.record.wrong(format_args!("{}: {wrong} after {after} frames", self.name));
        }
        tap
    }
}

pub(super) struct PipeReader {
    pipe: Arc<Pipe>,
    sleep: Pin<Box<Sleep>>,
}

impl PipeReader {
    pub(super) fn new(pipe: &Arc<Pipe>) -> Self {
        Self { pipe: Arc::clone(pipe), sleep: Box::pin(sleep_until(Instant::now())) }
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let writer = loop {
            let mut state = this.pipe.lock();
            if state.is_reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let next = state.pieces.front().map(|(at, _)| *at).or(state.end);
            let due = next.map(|at| at.max(state.stalled_until));
            match due {
                Some(due) if due <= Instant::now() => {}
                _ => {
                    state.reader = Some(cx.waker().clone());
                    drop(state);
                    let Some(due) = due else { return Poll::Pending };
                    this.sleep.as_mut().reset(due);
                    std::task::ready!(this.sleep.as_mut().poll(cx));
                    continue;
                }
            }
            let Some((_, piece)) = state.pieces.front_mut() else { return Poll::Ready(Ok(())) };
            let length = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece.split_to(length));
            if piece.is_empty() {
                state.pieces.pop_front();
            }
            state.on_its_way -= length;
            state.read += length;
            this.pipe.record.note(format_args!("{} brings {length}", this.pipe.name));
            break state.writer.take();
        };
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.pipe.change(|state| {
            state.is_broken = true;
            state.pieces.clear();
        });
    }
}

pub(super) struct PipeWriter(Arc<Pipe>);

impl PipeWriter {
    pub(super) fn new(pipe: &Arc<Pipe>) -> Self {
        Self(Arc::clone(pipe))
    }
}

impl StreamWriter for PipeWriter {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let pipe = &*self.0;
        let mut state = pipe.lock();
        if state.is_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if state.is_broken || state.end.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = pipe.weather.window.saturating_sub(state.on_its_way);
        let offered = slices.iter().map(|slice| slice.len()).sum::<usize>();
        // Now and then there was no room a moment ago, or not for all of it.
        if room == 0 || state.rng.u8(..16) == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut taken = room.min(offered);
        if taken > 1 && state.rng.u8(..4) == 0 {
            taken = state.rng.usize(1..=taken);
        }
        let mut bytes = BytesMut::with_capacity(taken);
        for slice in slices {
            let part = slice.len().min(taken - bytes.len());
            bytes.extend_from_slice(&slice[..part]);
        }
        state.written.extend_from_slice(&bytes);
        state.on_its_way += taken;
        while !bytes.is_empty() {
            let longest = pipe.weather.slice.min(bytes.len());
            let length = state.rng.usize(1..=longest);
            let at = pipe.arrival(&mut state);
            let piece = bytes.split_to(length).freeze();
            state.pieces.push_back((at, piece));
        }
        pipe.record.note(format_args!("{} takes {taken} of {offered}", pipe.name));
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(taken)
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        let has_room = state.on_its_way < self.0.weather.window;
        if has_room || state.is_reset || state.is_broken {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.0.end();
    }
}
