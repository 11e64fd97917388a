//! Tests of the outbox, on a socket that takes the bytes that a test allows.
//!
//! [`cases`] contains single rules, [`model`] compares with a plain list of frames, and [`shuttle`]
//! runs many schedules of threads. Its lock works only in its own build, so each build has its own
//! modules.

#[cfg(not(shuttle))]
mod cases;
#[cfg(not(shuttle))]
mod model;
#[cfg(shuttle)]
mod shuttle;
#[cfg(not(shuttle))]
mod uses;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use veltix_core::{DeliveryClass, Frame, FrameDecoder, Key, Message, OverflowPolicy, RequestId};

#[cfg(not(shuttle))]
use super::flush::WRITES_PER_FLUSH;
use super::*;
use crate::sync::Mutex;
#[cfg(not(shuttle))]
use veltix_core::limits::FRAME_OVERHEAD;
use veltix_core::limits::HEADER_LEN;

/// The socket of an outbox under test. A clone is the same socket, and serves as its other end.
#[derive(Clone)]
struct Socket(Arc<Mutex<Wire>>);

struct Wire {
    got: Vec<u8>,
    /// The number of bytes that the socket takes before it is full.
    room: usize,
    /// The maximum number of bytes that one call takes.
    per_call: usize,
    /// The errors that the next calls return instead.
    errors: VecDeque<io::ErrorKind>,
    /// A function that runs in the middle of the next call.
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
    calls: usize,
    /// True if the last call found no room.
    full: bool,
    /// The address and the length of each slice of the last call.
    slices: Vec<(usize, usize)>,
    writer: Option<Waker>,
    ended: bool,
}

impl Socket {
    fn new(room: usize, per_call: usize) -> Self {
        Self(Arc::new(Mutex::new(Wire {
            got: Vec::new(),
            room,
            per_call,
            errors: VecDeque::new(),
            meanwhile: None,
            calls: 0,
            full: false,
            slices: Vec::new(),
            writer: None,
            ended: false,
        })))
    }

    fn outbox(&self, capacity: Capacity) -> Arc<Outbox> {
        Arc::new(Outbox::new(Box::new(self.clone()), capacity, Arc::default(), Memory::unlimited()))
    }

    /// Lets the peer read: there is room for `room` more bytes.
    fn give(&self, room: usize) {
        let writer = {
            let mut wire = self.0.lock();
            wire.room = wire.room.saturating_add(room);
            wire.writer.take()
        };
        writer.into_iter().for_each(Waker::wake);
    }

    /// Returns the messages that arrived completely. A part of one more may follow them.
    fn messages(&self) -> Vec<Message> {
        let mut bytes = self.0.lock().got.as_slice().into();
        let mut decoder = FrameDecoder::new(1 << 20);
        let next = || decoder.decode(&mut bytes).expect("whole frames, in order");
        std::iter::from_fn(next).collect()
    }

    /// Returns the frames that arrived completely, as code and id.
    fn frames(&self) -> Vec<(u16, u16)> {
        self.messages().iter().map(|message| (message.code(), message.id().value())).collect()
    }

    /// Returns the frames that arrived completely, as code and length of the body.
    #[cfg(shuttle)]
    fn lengths(&self) -> Vec<(u16, usize)> {
        self.messages().iter().map(|message| (message.code(), message.body().len())).collect()
    }
}

impl StreamWriter for Socket {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let meanwhile = self.0.lock().meanwhile.take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        let mut wire = self.0.lock();
        wire.calls += 1;
        wire.slices = slices.iter().map(|slice| (slice.as_ptr().addr(), slice.len())).collect();
        if let Some(error) = wire.errors.pop_front() {
            return Err(error.into());
        }
        let limit = wire.room.min(wire.per_call);
        wire.full = limit == 0;
        if wire.full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut left = limit;
        for slice in slices {
            let take = slice.len().min(left);
            wire.got.extend_from_slice(&slice[..take]);
            left -= take;
        }
        wire.room -= limit - left;
        Ok(limit - left)
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.0.lock();
        if wire.room > 0 || !wire.errors.is_empty() {
            return Poll::Ready(Ok(()));
        }
        wire.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().ended = true;
        Poll::Ready(Ok(()))
    }
}

/// Creates a frame of this code and id, with `length` bytes on the wire.
fn frame(code: u16, id: u16, length: usize) -> Frame {
    Frame::new(code, RequestId::new(id), Bytes::from(vec![id as u8; length - HEADER_LEN]))
}

/// Returns the same frame as a value of this key.
fn latest(key: impl Into<Key>, mut frame: Frame) -> Frame {
    frame.set_class(DeliveryClass::of_key(key));
    frame
}

/// Takes one turn of the connection's own task, as far as it concerns the outbox.
fn turn(outbox: &Outbox, cx: &mut Context<'_>) -> OutboxStatus {
    let mut status = outbox.status(cx.waker());
    if status.blocked && outbox.poll_writable(cx).is_ready() {
        status.queued = true;
    }
    if status.queued {
        outbox.flush();
        status = outbox.status(cx.waker());
    }
    status
}
