//! What a turn reads, and whether it may.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream as _;
use tokio::task::coop;

use super::ConnectionTask;
use super::budget::Budget;
use crate::batch::Batch;
use crate::close::CloseReason;
use crate::codec::CodecError;
use crate::limits::DETACH_BELOW;
use crate::planted::planted;
use crate::read_buffer;
use crate::requests::Over;

impl ConnectionTask {
    pub(super) fn read_batch(&mut self, cx: &mut Context<'_>, batch: &Batch, budget: &mut Budget) {
        self.note_pause();
        if !self.may_read() {
            return;
        }
        let size = self.limits().buffer_size;
        let Some(mut reader) = self.reader.take() else { return };
        let before = reader.read_buffer().len();
        read_buffer::lend(reader.read_buffer_mut(), size);
        let mut frames = 0;
        let end = loop {
            frames += self.receive_burst(cx, batch, budget);
            // What is left stays first in line: whether reading may go on can change at any moment,
            // by another thread, and the next burst would take its place.
            if !self.unhandled.is_empty() || budget.is_spent(batch) || !self.may_read_on() {
                break None;
            }
            match Pin::new(&mut reader).poll_next(cx) {
                // What came before a write failed is read first. Out of budget, Tokio says
                // `Pending` although there is more, and has woken this task already.
                Poll::Pending if !coop::has_budget_remaining() => break None,
                Poll::Pending => break self.write_failure.map(CloseReason::Io),
                Poll::Ready(Some(Ok(burst))) => self.unhandled = burst,
                Poll::Ready(Some(Err(CodecError::Protocol(error)))) => {
                    break Some(CloseReason::Protocol(error));
                }
                Poll::Ready(Some(Err(CodecError::Io(error)))) => {
                    break Some(CloseReason::failed(&error));
                }
                Poll::Ready(None) => break Some(CloseReason::PeerClosed),
            }
        };
        if let Some(reason) = end {
            if planted!("received_dropped_at_eof") {
                self.cut_off();
            }
            if matches!(reason, CloseReason::Protocol(_)) {
                // Nothing more is decoded, but the stream is still to be read to its end.
                self.reader = Some(reader);
            }
            // The stream has ended, or means nothing any more: no answer will come.
            self.peer.end_calls();
            self.begin_end(reason);
            return;
        }
        if !self.may_read_on() {
            self.unhandled.detach_below(DETACH_BELOW);
        }
        self.deferral.after_batch(cx);
        read_buffer::give_back(reader.read_buffer_mut(), size);
        let rest = reader.read_buffer();
        if frames > 0 || rest.len() != before {
            self.watch(reader.decoder().begun(rest), frames > 0);
        }
        self.reader = Some(reader);
        self.note_pause();
    }

    /// Handles what was read, as far as the batch goes and there is room; says how much it was.
    fn receive_burst(&mut self, cx: &mut Context<'_>, batch: &Batch, budget: &mut Budget) -> usize {
        let before = budget.frames;
        let mut burst = std::mem::take(&mut self.unhandled);
        while !budget.is_spent(batch) {
            let is_calm = self.is_calm();
            if !is_calm && !self.may_read_in_need() {
                break;
            }
            let Some(arrival) = burst.arrive() else { break };
            budget.spend(arrival.body_len());
            self.receive(cx, arrival, is_calm);
        }
        self.unhandled = burst;
        budget.frames - before
    }

    /// Whether reading may go on: there is something to read, and room for it.
    pub(super) fn may_read(&self) -> bool {
        self.reader.is_some() && self.may_read_on()
    }

    fn may_read_on(&self) -> bool {
        self.is_calm() || self.may_read_in_need()
    }

    /// Whether a message may be read and handled at once: nothing waits, nothing ends.
    #[inline]
    fn is_calm(&self) -> bool {
        self.lane.is_free() && self.ending.is_none() && !self.peer.outbox().is_congested()
    }

    #[cold]
    fn may_read_in_need(&self) -> bool {
        let reads = match &self.ending {
            None => true,
            // New work is turned away during a shutdown, but a handler may wait for an answer.
            Some(ending) => ending.reason == CloseReason::Shutdown && self.is_calling(),
        };
        // A peer that does not take its pongs and replies gets no more of them.
        if !reads || self.peer.outbox().is_congested() {
            return false;
        }
        let limits = self.limits();
        if self.lane.has_room(limits.inbox_messages, limits.inbox_bytes) {
            return true;
        }
        if !self.is_calling() {
            return false;
        }
        if !self.lane.has_room_while_calling() {
            if planted!("congested_in_silence") {
                return false;
            }
            let over = self.peer.calls().lock().fail_congested();
            over.into_iter().for_each(Over::tell);
            return false;
        }
        true
    }

    fn is_calling(&self) -> bool {
        !self.peer.calls().lock().is_empty()
    }
}
