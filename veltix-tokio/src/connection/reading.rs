//! What a turn reads, and whether it may.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream as _;
use tokio::task::coop;
use tokio::time::Instant;
use veltix_core::limits::DETACH_BELOW;

use super::ConnectionTask;
use super::budget::Budget;
use crate::close::CloseReason;
use crate::codec::CodecError;
use crate::codec::read_buffer;
use crate::flush::FlushScope;
use crate::planted::planted;
use crate::session::CompletedCall;

impl ConnectionTask {
    pub(super) fn read_batch(
        &mut self,
        cx: &mut Context<'_>,
        scope: &FlushScope,
        budget: &mut Budget,
    ) {
        self.note_pause();
        if !self.may_read() {
            // The pause may have begun after the last turn, which had left something.
            self.unhandled.detach_below(DETACH_BELOW);
            return;
        }
        let size = self.limits().buffer_size;
        let Some(mut reader) = self.reader.take() else { return };
        let before = reader.read_buffer().len();
        read_buffer::lend(reader.read_buffer_mut(), size);
        let (mut frames, mut bytes) = (0, 0);
        let end = loop {
            frames += self.dispatch_batch(cx, scope, budget);
            // What is left stays first in line: whether reading may go on can change at any moment,
            // by another thread, and the next batch would take its place.
            if !self.unhandled.is_empty() || budget.is_done(scope) || !self.may_read_on() {
                break None;
            }
            match Pin::new(&mut reader).poll_next(cx) {
                // What came before a write failed is read first. Out of budget, Tokio says
                // `Pending` although there is more, and has woken this task already.
                Poll::Pending if !coop::has_budget_remaining() => break None,
                Poll::Pending => {
                    break self.write_failure.as_ref().map(|failure| CloseReason::Io(failure.kind));
                }
                Poll::Ready(Some(Ok(batch))) if batch.is_empty() => {
                    if !self.grant(&mut reader) {
                        break None;
                    }
                }
                Poll::Ready(Some(Ok(batch))) => {
                    bytes += batch.len();
                    self.unhandled = batch;
                }
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
            self.peer.session().end_calls();
            self.begin_end(reason);
            self.record_received(0);
            return;
        }
        if !self.may_read_on() {
            self.unhandled.detach_below(DETACH_BELOW);
        }
        self.cork.after_batch(cx);
        read_buffer::give_back(reader.read_buffer_mut(), size);
        self.record_received(reader.read_buffer().capacity());
        let rest = reader.read_buffer();
        if frames > 0 || rest.len() != before {
            let begun = reader.decoder().begun(rest);
            let rest = rest.len();
            // A begun frame has its time to the full; for the rest, about now will do.
            let now = if begun.is_some() { Instant::now() } else { budget.now() };
            self.watch(begun, frames > 0, now);
            if self.throttle.is_some() {
                let bytes = (bytes + rest).saturating_sub(before);
                self.charge_read(frames, bytes, now);
            }
        }
        self.reader = Some(reader);
        self.note_pause();
    }

    /// Handles what was read, as far as the batch goes and there is room; says how much it was.
    fn dispatch_batch(
        &mut self,
        cx: &mut Context<'_>,
        scope: &FlushScope,
        budget: &mut Budget,
    ) -> usize {
        let before = budget.frames;
        let mut batch = std::mem::take(&mut self.unhandled);
        while !batch.is_empty() && budget.goes_on(scope) {
            let can_dispatch_directly = self.can_dispatch_directly();
            if !can_dispatch_directly && !self.may_read_in_need() {
                break;
            }
            let Some(message) = batch.next_ref() else { break };
            budget.spend(message.code(), message.body().len());
            self.receive(cx, message, can_dispatch_directly);
        }
        if !batch.is_empty() {
            self.unhandled = batch;
        }
        budget.frames - before
    }

    /// Whether reading may go on: there is something to read, and room for it.
    pub(super) fn may_read(&self) -> bool {
        self.reader.is_some() && !self.is_held_back() && self.may_read_on()
    }

    /// Whether it is not read although there is room in the inbox: it is too fast, or there is no
    /// memory for what it sends.
    #[inline]
    pub(super) fn is_held_back(&self) -> bool {
        self.is_throttled() || self.memory_wait.is_some()
    }

    fn may_read_on(&self) -> bool {
        self.can_dispatch_directly() || self.may_read_in_need()
    }

    /// Whether a message may be read and handled at once: nothing waits, nothing ends.
    #[inline]
    fn can_dispatch_directly(&self) -> bool {
        self.serial.is_free()
            && self.ending.is_none()
            && !self.peer.session().outbox().is_congested()
    }

    #[cold]
    fn may_read_in_need(&self) -> bool {
        let reads = match &self.ending {
            None => true,
            // New work is turned away during a shutdown, but a handler may wait for an answer.
            Some(ending) => ending.reason == CloseReason::Shutdown && self.is_calling(),
        };
        // A peer that does not take its pongs and replies gets no more of them.
        if !reads || self.peer.session().outbox().is_congested() {
            return false;
        }
        let limits = self.limits();
        if self.serial.has_room(limits.inbox_messages, limits.inbox_bytes) {
            return true;
        }
        if !self.is_calling() {
            return false;
        }
        if !self.serial.has_room_while_calling() {
            if planted!("congested_in_silence") {
                return false;
            }
            let completed = self.peer.session().calls().lock().fail_congested();
            completed.into_iter().for_each(CompletedCall::complete);
            return false;
        }
        true
    }

    fn is_calling(&self) -> bool {
        self.peer.session().calls().lock().is_calling()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::thread;

    use tokio::sync::mpsc::unbounded_channel;
    use tokio::task::yield_now;
    use veltix_core::{Message, MessageType, all};

    use crate::peer::Peer;
    use crate::session::ReplySink;
    use crate::transport::memory;
    use crate::{Client, ClientConfig, Router, Server, ServerConfig};

    const MESSAGE: MessageType = MessageType::new(200, "message", "");
    /// Some bursts of them, which all fit the inbox while a call is pending.
    const MESSAGES: u64 = 3_000;

    /// Has calls of this peer begin and end, as other threads may at any moment, until its stream
    /// has ended.
    fn call_now_and_then(peer: &Peer) {
        let answers = unbounded_channel().0;
        for round in 0_u32.. {
            let sink = ReplySink::Survey { index: 0, answers: answers.clone() };
            let begun = peer.session().calls().lock().begin_open(MESSAGE.code(), sink);
            let Ok(begun) = begun else { return };
            let caller = peer.session().calls().lock().take_back(begun.call);
            drop(caller);
            if round.is_multiple_of(64) {
                peer.session().outbox().wake_owner();
            }
        }
    }

    /// A call lets reading go on past a full inbox. It may begin between one look and the next, and
    /// then what is left of one batch must not give way to the next, nor to the end.
    #[tokio::test]
    async fn nothing_is_lost_when_reading_may_go_on_at_any_moment() {
        let (listener, connector) = memory(1 << 20);
        let router = Router::new().route(MESSAGE, pending::<()>);
        let server = Server::with_listener(listener, ServerConfig::default(), router);
        let server = server.expect("the config works");
        let hub = server.hub();
        let running = tokio::spawn(server.run());
        for round in 0..10 {
            let config = ClientConfig::default();
            let connect = Client::connect_with(connector.clone(), config, Router::new());
            let client = connect.await.expect("it connects");
            let peers = hub.list(all()).expect("it is valid");
            let peer = peers.into_iter().max_by_key(Peer::id).expect("it is listed");
            for _ in 0..MESSAGES {
                client.send(&Message::empty(MESSAGE)).await.expect("there is room");
            }
            drop(client);
            let caller = peer.clone();
            let calls = thread::spawn(move || call_now_and_then(&caller));
            while !calls.is_finished() {
                yield_now().await;
            }
            calls.join().expect("no panic");
            assert_eq!(peer.stats().received.received, MESSAGES, "in round {round}");
        }
        running.abort();
    }
}
