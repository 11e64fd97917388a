//! The outbox, on a socket that takes what a test allows.

#[cfg(shuttle)]
mod shuttle;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use veltix_core::{Frame, FrameDecoder, RequestId};

use super::*;
use crate::limits::HEADER_LEN;
use crate::sync::Mutex;

/// The socket of an outbox under test. A clone is the same socket, and its other end.
#[derive(Clone)]
struct Socket(Arc<Mutex<Wire>>);

struct Wire {
    got: Vec<u8>,
    /// Bytes that it takes before it is full.
    room: usize,
    /// Bytes that one call takes at most.
    per_call: usize,
    /// What the next calls say instead.
    errors: VecDeque<io::ErrorKind>,
    calls: usize,
    writer: Option<Waker>,
    ended: bool,
}

impl Socket {
    fn new(room: usize, per_call: usize) -> Self {
        let (got, errors) = (Vec::new(), VecDeque::new());
        let wire = Wire { got, room, per_call, errors, calls: 0, writer: None, ended: false };
        Self(Arc::new(Mutex::new(wire)))
    }

    fn outbox(&self, capacity: Capacity) -> Outbox {
        Outbox::new(Box::new(self.clone()), capacity)
    }

    /// The peer reads: there is room for so much more.
    fn give(&self, room: usize) {
        let writer = {
            let mut wire = self.0.lock();
            wire.room = wire.room.saturating_add(room);
            wire.writer.take()
        };
        writer.into_iter().for_each(Waker::wake);
    }

    /// The frames that came whole, as code and id; what follows them is a part of one more.
    fn frames(&self) -> Vec<(u16, u16)> {
        let mut bytes = self.0.lock().got.as_slice().into();
        let mut decoder = FrameDecoder::new(1 << 20);
        let mut frames = Vec::new();
        while let Some(message) = decoder.decode(&mut bytes).expect("whole frames, in order") {
            frames.push((message.code(), message.id().value()));
        }
        frames
    }
}

impl StreamWriter for Socket {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut wire = self.0.lock();
        wire.calls += 1;
        if let Some(error) = wire.errors.pop_front() {
            return Err(error.into());
        }
        let limit = wire.room.min(wire.per_call);
        if limit == 0 {
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
        if wire.room > 0 {
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

/// A frame of this code and id, and of so many bytes on the wire.
fn frame(code: u16, id: u16, length: usize) -> Frame {
    Frame::new(code, RequestId::new(id), Bytes::from(vec![id as u8; length - HEADER_LEN]))
}

/// One turn of the connection's own task, as far as it concerns the outbox.
fn turn(outbox: &Outbox, cx: &mut Context<'_>) -> Glance {
    let mut glance = outbox.glance(cx.waker());
    if glance.blocked && outbox.poll_writable(cx).is_ready() {
        glance.queued = true;
    }
    if glance.queued {
        outbox.flush();
        glance = outbox.glance(cx.waker());
    }
    glance
}
