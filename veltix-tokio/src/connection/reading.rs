//! [`Reading`]: the stream that a connection reads, and what pauses it.

use std::io::Cursor;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use futures::Stream as _;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::coop;
use tokio::time::Instant;
use tokio_util::codec::FramedRead;
use veltix_core::limits::{DETACH_BELOW, FRAME_GRACE, FRAME_RATE, MEMORY_HOLES};
use veltix_core::{FrameBatch, ProtocolReport};

use super::ConnectionTask;
use super::budget::Budget;
use super::memory_wait::MemoryWait;
use super::throttle::Throttle;
use super::unknown_codes::UnknownCodes;
use crate::close::CloseReason;
use crate::codec::{self, CodecError, FrameBatchDecoder};
use crate::config::Limits;
use crate::flush::FlushScope;
use crate::session::CompletedCall;

type ByteStream = Box<dyn AsyncRead + Send + Unpin>;

/// The reading half of a connection.
pub(super) struct Reading {
    /// `None` once nothing more will be read.
    reader: Option<FramedRead<ByteStream, FrameBatchDecoder>>,
    /// Frames that were read and are not dispatched yet, for want of room or time.
    unhandled: FrameBatch,
    /// The frame of which some bytes have arrived.
    begun: Option<BegunFrame>,
    /// The peer sends too fast, or its handlers publish too much.
    throttle: Option<Box<Throttle>>,
    /// A frame has begun for which there is no memory.
    memory_wait: Option<Box<MemoryWait>>,
    /// Boxed: few connections receive an unknown code.
    unknown: Option<Box<UnknownCodes>>,
    /// The peer's report that it cannot read this side's stream. Boxed: few connections have one.
    report: Option<Box<ProtocolReport>>,
}

/// A frame of which some bytes have arrived.
struct BegunFrame {
    /// The time since which the rest is awaited.
    since: Instant,
    /// The time that the whole frame may take.
    may_take: Duration,
    /// The time since which this side does not read.
    paused: Option<Instant>,
}

/// The reading of one turn.
pub(super) struct ReadTurn {
    /// Bytes in the buffer at its beginning.
    before: usize,
    /// The number of messages in the budget at its beginning.
    messages: usize,
    bytes: usize,
    /// The end of the stream, if the turn has met it.
    end: Option<CloseReason>,
}

impl Reading {
    /// Reads the surplus of the handshake first, then the stream.
    pub(super) fn new(
        stream: ByteStream,
        surplus: &BytesMut,
        limits: &Limits,
        now: Instant,
    ) -> Self {
        let bytes = if surplus.is_empty() {
            stream
        } else {
            // It is read, not put into the buffer: only a read makes `FramedRead` decode.
            // A copy, since it is kept: the handshake's buffer may be much larger.
            Box::new(Cursor::new(surplus.to_vec()).chain(stream))
        };
        let decoder = FrameBatchDecoder::new(limits.max_message_size, limits.buffer_size);
        Self {
            reader: Some(FramedRead::with_capacity(bytes, decoder, 0)),
            unhandled: FrameBatch::default(),
            begun: None,
            throttle: Throttle::new(limits.peer_rate.as_ref(), now),
            memory_wait: None,
            unknown: None,
            report: None,
        }
    }

    /// Keeps the peer's report for the end of the stream. The first report counts.
    pub(super) fn keep_report(&mut self, report: ProtocolReport) {
        self.report.get_or_insert_with(|| Box::new(report));
    }

    /// Returns the reason of an end: the peer's report, if the end is a consequence of it.
    pub(super) fn explain(&self, reason: CloseReason) -> CloseReason {
        use CloseReason::{HeartbeatTimeout, Io, PeerClosed, ReportedByPeer, WriteStalled};
        match (&self.report, reason) {
            (Some(report), PeerClosed | Io(_) | WriteStalled | HeartbeatTimeout) => {
                ReportedByPeer(report.0)
            }
            (_, reason) => reason,
        }
    }

    /// Reads nothing more, and releases the buffer.
    pub(super) fn close(&mut self) {
        self.reader = None;
    }

    /// Returns the stream, while it is read.
    pub(super) fn stream(&mut self) -> Option<&mut ByteStream> {
        self.reader.as_mut().map(FramedRead::get_mut)
    }

    pub(super) const fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Takes the frames that are not dispatched yet.
    #[inline]
    pub(super) fn take_unhandled(&mut self) -> FrameBatch {
        std::mem::take(&mut self.unhandled)
    }

    /// Returns whether there are frames that are not dispatched yet.
    pub(super) fn has_unhandled(&self) -> bool {
        !self.unhandled.is_empty()
    }

    /// Keeps frames that are not dispatched yet.
    #[inline]
    pub(super) fn keep_unhandled(&mut self, batch: FrameBatch) {
        self.unhandled = batch;
    }

    pub(super) fn unknown(&mut self) -> &mut UnknownCodes {
        self.unknown.get_or_insert_default()
    }

    /// Returns whether reading pauses although the inbox has room: the peer is too fast, or there is no
    /// memory for its frame.
    #[inline]
    pub(super) fn is_held_back(&self) -> bool {
        self.is_throttled() || self.memory_wait.is_some()
    }

    #[inline]
    fn is_throttled(&self) -> bool {
        self.throttle.as_ref().is_some_and(|throttle| throttle.until().is_some())
    }

    /// Returns whether the peer is to hear that it is too fast.
    #[inline]
    pub(super) fn has_refusal(&self) -> bool {
        self.throttle.as_ref().is_some_and(|throttle| throttle.has_refusal())
    }

    /// Returns the throttle, if the peer has one.
    pub(super) fn throttle(&mut self) -> Option<&mut Throttle> {
        self.throttle.as_deref_mut()
    }

    /// Returns the throttle; a peer without one gets one.
    pub(super) fn make_throttle(&mut self) -> &mut Throttle {
        self.throttle.get_or_insert_default()
    }

    /// Returns the time until which the peer is throttled.
    pub(super) fn throttled_until(&self) -> Option<Instant> {
        self.throttle.as_ref()?.until()
    }

    pub(super) fn memory_wait(&mut self) -> Option<&mut MemoryWait> {
        self.memory_wait.as_deref_mut()
    }

    /// Returns the time at which the wait for memory looks again.
    pub(super) fn memory_retry(&self) -> Option<Instant> {
        self.memory_wait.as_ref().map(|wait| wait.retry_at)
    }

    pub(super) fn wait_for_memory(&mut self, wait: MemoryWait) {
        self.memory_wait = Some(Box::new(wait));
    }

    pub(super) fn end_memory_wait(&mut self) {
        self.memory_wait = None;
    }

    /// Returns the capacity that the begun frame wants for the buffer.
    pub(super) fn wanted(&self) -> usize {
        self.reader.as_ref().map_or(0, |reader| reader.decoder().wanted())
    }

    /// Lets the buffer grow to this capacity.
    pub(super) fn allow(&mut self, capacity: usize) {
        if let Some(reader) = &mut self.reader {
            reader.decoder_mut().allow(capacity);
        }
    }

    /// Records the frame that has begun, as of this turn.
    fn watch_frame(&mut self, total: Option<u64>, is_new: bool, now: Instant) {
        let since = match &self.begun {
            Some(begun) if !is_new => begun.since,
            _ => now,
        };
        self.begun = total.map(|total| BegunFrame {
            since,
            may_take: FRAME_GRACE + Duration::from_millis(total * 1000 / FRAME_RATE),
            paused: None,
        });
    }

    /// Returns the deadline of the frame that has begun.
    pub(super) fn frame_deadline(&self) -> Option<Instant> {
        self.begun.as_ref().map(|begun| begun.since + begun.may_take)
    }

    /// Gives the begun frame its time anew, from a pause that begins now.
    pub(super) fn restart_frame(&mut self, now: Instant) {
        if let Some(begun) = &mut self.begun {
            begun.since = now;
            begun.paused = Some(now);
        }
    }

    /// Records whether this side reads: the time in which it does not counts neither for the begun frame
    /// nor for the peer's rate.
    fn note_reads(&mut self, reads: bool) {
        if let Some(throttle) = &mut self.throttle {
            throttle.note_pause(reads);
        }
        let Some(begun) = &mut self.begun else { return };
        match (reads, begun.paused) {
            (true, Some(since)) => {
                begun.since += since.elapsed();
                begun.paused = None;
            }
            (false, None) => begun.paused = Some(Instant::now()),
            _ => {}
        }
    }
}

impl ConnectionTask {
    /// Begins to read, if reading is not paused.
    pub(super) fn begin_reading(&mut self, budget: &Budget) -> Option<ReadTurn> {
        self.note_pause();
        if !self.may_read() {
            // The pause may have begun after the last turn, which had left something.
            self.reading.unhandled.detach_below(DETACH_BELOW);
            return None;
        }
        let size = self.limits().buffer_size;
        let reader = self.reading.reader.as_mut()?;
        let before = reader.read_buffer().len();
        codec::lend(reader.read_buffer_mut(), size);
        Some(ReadTurn { before, messages: budget.messages(), bytes: 0, end: None })
    }

    /// Reads the next batch of frames; returns whether there is one to dispatch.
    pub(super) fn read_batch(
        &mut self,
        cx: &mut Context<'_>,
        scope: &FlushScope,
        budget: &Budget,
        read: &mut ReadTurn,
    ) -> bool {
        // Frames that are left stay first in line: whether reading may go on can change at any moment,
        // by another thread, and the next batch would take their place.
        while self.reading.unhandled.is_empty() && !budget.is_done(scope) && self.may_read_on() {
            let Some(reader) = &mut self.reading.reader else { return false };
            read.end = match Pin::new(reader).poll_next(cx) {
                // Out of budget, Tokio returns `Pending` although there is more, and has woken this task
                // already.
                Poll::Pending if !coop::has_budget_remaining() => return false,
                // Bytes that arrived before a write failed are read first.
                Poll::Pending => self.liveness.write_failure().map(CloseReason::Io),
                Poll::Ready(Some(Ok(batch))) if batch.is_empty() => {
                    if self.grant_memory() {
                        continue;
                    }
                    None
                }
                Poll::Ready(Some(Ok(batch))) => {
                    read.bytes += batch.len();
                    self.reading.unhandled = batch;
                    return true;
                }
                Poll::Ready(Some(Err(CodecError::Protocol(error)))) => {
                    Some(CloseReason::Protocol(error))
                }
                Poll::Ready(Some(Err(CodecError::Io(error)))) => Some(CloseReason::failed(&error)),
                Poll::Ready(None) => Some(CloseReason::PeerClosed),
            };
            return false;
        }
        false
    }

    /// Ends the reading of a turn: gives the buffer back, and charges what was read.
    pub(super) fn end_reading(&mut self, cx: &Context<'_>, budget: &Budget, read: ReadTurn) {
        if let Some(reason) = read.end {
            return self.end_stream(reason);
        }
        if !self.may_read_on() {
            self.reading.unhandled.detach_below(DETACH_BELOW);
        }
        if budget.answers() > 0 {
            self.cork.after_batch(cx, budget.answers());
        }
        let size = self.limits().buffer_size;
        let Some(reader) = &mut self.reading.reader else { return };
        codec::give_back(reader.read_buffer_mut(), size);
        let rest = reader.read_buffer();
        let (rest, capacity) = (rest.len(), rest.capacity());
        let messages = budget.messages() - read.messages;
        if messages > 0 || rest != read.before {
            let begun = reader.decoder().begun(reader.read_buffer());
            // A begun frame has its time to the full; for the rest, about now will do.
            let now = if begun.is_some() { Instant::now() } else { budget.now() };
            self.liveness.is_alive(now);
            self.reading.watch_frame(begun, messages > 0, now);
            if self.reading.throttle.is_some() {
                let bytes = (read.bytes + rest).saturating_sub(read.before);
                self.charge_read(messages, bytes, now);
            }
        }
        self.record_received(capacity);
        self.note_pause();
    }

    /// The stream has ended, or is not readable any more.
    fn end_stream(&mut self, reason: CloseReason) {
        if fault!("received_dropped_at_eof") {
            self.cut_off();
        }
        if !matches!(reason, CloseReason::Protocol(_)) {
            // After a protocol error nothing more is decoded, but the stream is still read to its end.
            self.reading.close();
        }
        // No answer will come.
        self.session().end_calls();
        self.begin_end(reason);
        self.record_received(0);
    }

    /// Records the memory of received bytes and messages, with a buffer of this capacity.
    #[inline]
    pub(super) fn record_received(&self, capacity: usize) {
        let unhandled = self.reading.unhandled.len();
        let held = MEMORY_HOLES * capacity + unhandled + self.handlers.inbox_charge();
        self.session().reading().set(held);
    }

    /// Records whether reading pauses or goes on.
    #[inline]
    pub(super) fn note_pause(&mut self) {
        if self.reading.begun.is_some() || self.reading.throttle.is_some() {
            let reads = self.may_read();
            self.reading.note_reads(reads);
        }
    }

    /// Returns whether reading may go on: the stream is open, and there is room for its messages.
    pub(super) fn may_read(&self) -> bool {
        self.reading.is_open() && !self.reading.is_held_back() && self.may_read_on()
    }

    fn may_read_on(&self) -> bool {
        self.can_dispatch_directly() || self.may_read_in_need()
    }

    /// Returns whether a message may be read and handled at once: nothing waits, nothing ends.
    #[inline]
    pub(super) fn can_dispatch_directly(&self) -> bool {
        self.handlers.is_free()
            && !self.phase.is_ending()
            && !self.session().outbox().is_congested()
    }

    /// Returns whether a message may be read although it has to wait.
    #[cold]
    pub(super) fn may_read_in_need(&self) -> bool {
        // New work is turned away during a shutdown, but a handler may wait for an answer.
        let reads = !self.phase.is_ending() || (self.phase.is_shutting_down() && self.is_calling());
        // A peer that does not take its pongs and replies gets no more of them.
        if !reads || self.session().outbox().is_congested() {
            return false;
        }
        let limits = self.limits();
        if self.handlers.has_room(limits.inbox_messages, limits.inbox_bytes) {
            return true;
        }
        if !self.is_calling() {
            return false;
        }
        if !self.handlers.has_room_while_calling() {
            if fault!("congested_in_silence") {
                return false;
            }
            let completed = self.session().calls().lock().fail_congested();
            completed.into_iter().for_each(CompletedCall::complete);
            return false;
        }
        true
    }

    fn is_calling(&self) -> bool {
        self.session().calls().lock().is_calling()
    }
}
