//! One direction of a simulated connection: it delays, slices, overflows, stalls and breaks. It
//! records every byte, so that the messages can be decoded independently of both ends.

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

/// One direction of a simulated connection. The module documentation describes it.
pub(super) struct Pipe {
    name: String,
    record: Record,
    weather: Weather,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    /// The bytes in flight, each piece with its arrival time.
    pieces: VecDeque<(Instant, Bytes)>,
    on_its_way: usize,
    last_arrival: Instant,
    /// The time before which nothing arrives, not even the end.
    stalled_until: Instant,
    /// The time at which the reader sees the end.
    end: Option<Instant>,
    is_reset: bool,
    /// True if later writes are lost.
    is_broken: bool,
    /// Every byte that was accepted from the writer.
    written: Vec<u8>,
    /// The number of bytes that the reader has received.
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

    /// Changes state that both ends may wait for.
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

    /// Ends the stream at its current position, possibly in the middle of a frame.
    pub(super) fn cut(&self) {
        self.record.note(format_args!("{} is cut", self.name));
        self.change(|state| {
            state.is_broken = true;
            state.pieces.clear();
            state.end = Some(Instant::now());
        });
    }

    /// Stalls the stream for this many milliseconds.
    pub(super) fn stall(&self, milliseconds: u64) {
        self.record.note(format_args!("{} stalls for {milliseconds}", self.name));
        let until = self.record.later(milliseconds);
        self.change(|state| state.stalled_until = state.stalled_until.max(until));
    }

    /// Ends the writing.
    fn end(&self) {
        self.change(|state| {
            if state.end.is_none() {
                let at = self.arrival(state);
                state.end = Some(at);
            }
        });
    }

    /// Returns the arrival time of bytes that are written now: never before that of earlier bytes.
    fn arrival(&self, state: &mut State) -> Instant {
        let delay = state.rng.u64(0..=self.weather.delay);
        state.last_arrival = state.last_arrival.max(self.record.later(delay));
        state.last_arrival
    }

    /// Ends a stall.
    pub(super) fn heal(&self) {
        self.change(|state| state.stalled_until = Instant::now());
    }

    /// Reports whether a write would be accepted.
    pub(super) fn has_room(&self) -> bool {
        self.lock().on_its_way < self.weather.window
    }

    /// Returns the number of bytes that were accepted from the writer.
    pub(super) fn written(&self) -> usize {
        self.lock().written.len()
    }

    /// Decodes the recorded bytes behind the first `of_handshake` messages, which are the
    /// handshake.
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
        // Sometimes there was no room a moment ago, or not enough for all of it.
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
