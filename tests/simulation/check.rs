//! Checks of the promises against the bytes on the wire.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::timeout;
use veltix::{CloseReason, Disconnected, Peer};

use super::body::{ANSWER, ASK, HANDLED, NEWS, PRICE, SAY, WELCOME, Wish};
use super::ledger::{Book, Ledger, Side};
use super::network::{Line, Network};
use super::record::Record;
use super::tap::Tap;
use crate::support::PATIENCE;

/// The milliseconds after which all data that can be written has been written.
const LOOK_EVERY: u64 = 5;

/// One end of a connection, with the bytes that it sent and received.
struct End<'a> {
    record: &'a Record,
    line: u64,
    side: Side,
    book: Book,
    outcome: Disconnected,
    said: Tap,
    heard: Tap,
}

/// Checks repeatedly that no data waits although it could be written, until it is dropped.
pub(super) async fn watch(network: Network, ledger: Ledger, record: Record) {
    let mut before: Vec<(u64, Side, usize)> = Vec::new();
    loop {
        record.pause(LOOK_EVERY).await;
        let waits = |(line, side, peer): (u64, Side, Peer)| {
            let pipe = network.pipe(line, side)?;
            let is_idle = peer.stats().sent.queued > 0 && pipe.has_room();
            is_idle.then(|| (line, side, pipe.written()))
        };
        let now: Vec<_> = ledger.open().into_iter().filter_map(waits).collect();
        for (line, side, _) in now.iter().filter(|waits| before.contains(*waits)) {
            record.wrong(format_args!("{line}: data waits at the {side:?} and is not written"));
        }
        before = now;
    }
}

/// Checks that no data is stuck when no operation is in progress any more.
pub(super) fn quiet(ledger: &Ledger, record: &Record) {
    for (line, side, peer) in ledger.open() {
        let stats = peer.stats();
        if stats.sent.queued > 0 || stats.received.waiting > 0 {
            record.wrong(format_args!("{line}: something is stuck at the {side:?}: {stats:?}"));
        }
    }
}

/// Checks the final state, after all connections have ended.
pub(super) async fn everything(network: &Network, ledger: &Ledger, record: &Record) {
    let calls = ledger.calls();
    if calls.begun != calls.ended {
        record.wrong(format_args!("calls have not completed: {calls:?}"));
    }
    let lines = network.lines();
    for ((line, side), book) in ledger.books() {
        let Some(peer) = book.peer.clone() else { continue };
        let Ok(outcome) = timeout(PATIENCE, peer.closed()).await else {
            record.wrong(format_args!("{line}: its {side:?} never ends"));
            continue;
        };
        let Some(of_line) = lines.get(&line) else { continue };
        let (said, heard) = (tap(of_line, side), tap(of_line, side.other()));
        End { record, line, side, book, outcome, said, heard }.check();
    }
}

/// Returns the decoded messages that this side sent.
fn tap(line: &Line, side: Side) -> Tap {
    match side {
        Side::Client => line.there.tap(1),
        Side::Server => line.back.tap(2),
    }
}

impl End<'_> {
    fn check(&self) {
        self.sums();
        self.order();
        self.answers();
        self.handled();
        self.farewell();
    }

    fn wrong(&self, what: &str) {
        let Self { record, line, side, outcome, .. } = self;
        record.wrong(format_args!("{line}: {side:?}: {what}: {outcome:?}"));
    }

    /// Checks that accepted messages were written, as the wire shows, or dropped.
    fn sums(&self) {
        let sent = self.outcome.sent;
        if sent.queued > 0 || sent.accepted != sent.written + sent.dropped() {
            self.wrong("the accepted messages differ from written and dropped");
        }
        if sent.written != self.said.written.len() as u64 {
            let count = self.said.written.len();
            self.wrong(&format!("{count} frames are on the wire"));
        }
        if self.outcome.undelivered != sent.dropped() {
            self.wrong("a dropped message was delivered");
        }
        let received = self.outcome.received;
        let known = received.handled + received.rejected + received.discarded() + received.waiting;
        if received.received != known || received.waiting > 0 {
            self.wrong("the received messages differ from their outcomes");
        }
    }

    /// Checks that accepted messages are on the wire in order and once, with no more gaps than
    /// reported.
    fn order(&self) {
        let mut numbers = BTreeSet::new();
        let mut keys = BTreeMap::new();
        let mut accepted = self.book.accepted.iter();
        for said in &self.said.written {
            let Some(body) = said.body.filter(|_| said.code != ANSWER.code()) else { continue };
            if !numbers.insert(body.number) {
                self.wrong(&format!("{} is sent twice", body.number));
            }
            if body.except == self.line && self.side == Side::Server {
                self.wrong(&format!("{} is returned to its sender", body.number));
            }
            let code = said.code;
            if [SAY, NEWS, WELCOME].map(|kind| kind.code()).contains(&code)
                && !accepted.any(|(number, _)| *number == body.number)
            {
                self.wrong(&format!("{} is out of order, or has no sender", body.number));
                return;
            }
            if let Wish::Key(key) = body.wish
                && code == PRICE.code()
                && keys.insert(key, body.number).is_some_and(|before| before > body.number)
            {
                self.wrong(&format!("{} comes after a newer one", body.number));
            }
        }
        let last = self.said.written.iter().rev().find_map(|said| {
            said.body.filter(|_| [SAY.code(), NEWS.code()].contains(&said.code)).map(|b| b.number)
        });
        let missing = |part: &[(u64, bool)]| {
            part.iter().filter(|(number, surely)| *surely && !numbers.contains(number)).count()
        };
        let accepted = &self.book.accepted;
        let end = accepted.iter().position(|(number, _)| Some(*number) == last).unwrap_or(0);
        let sent = self.outcome.sent;
        if missing(&accepted[..end]) as u64 > sent.dropped_policy + sent.dropped_superseded {
            self.wrong("there is a gap that was not reported");
        }
        if missing(accepted) as u64 > sent.dropped() {
            self.wrong("more is missing than was reported");
        }
    }

    /// Checks that each answer belongs to a call that was received, has its id, and is the only
    /// one.
    fn answers(&self) {
        let heard = &self.heard.written[..self.heard.read];
        let asks = heard.iter().filter(|said| said.code == ASK.code());
        let mut asks: BTreeSet<_> =
            asks.filter_map(|said| Some((said.id, said.body?.number))).collect();
        for said in self.said.written.iter().filter(|said| said.code == ANSWER.code()) {
            let answer = said.body.map(|body| (said.id, body.number));
            if answer.is_none_or(|answer| !asks.remove(&answer)) {
                self.wrong(&format!("{answer:?} answers no call"));
            }
        }
    }

    /// Checks that received messages were handled, all of them unless this side ended the
    /// connection.
    fn handled(&self) {
        let all: Vec<_> = self.heard.written[..self.heard.read].iter().collect();
        let received = self.outcome.received.received as usize;
        let peer_ended =
            matches!(self.outcome.reason, CloseReason::PeerClosed | CloseReason::Io(_));
        let broke_off = self.book.closed_here
            || matches!(
                self.outcome.reason,
                CloseReason::Closed
                    | CloseReason::ClosedFor(_)
                    | CloseReason::Refused(_)
                    | CloseReason::ConnectTimeout
                    | CloseReason::HandlerPanicked
                    | CloseReason::Aborted
                    | CloseReason::Shutdown
            );
        if received > all.len() || (peer_ended && !broke_off && received < all.len()) {
            self.wrong(&format!("{} frames were there to be received", all.len()));
            return;
        }
        let for_handlers = |said: &&&super::tap::Said| {
            HANDLED.iter().any(|message_type| message_type.code() == said.code)
        };
        let numbers = all[..received].iter().filter(for_handlers);
        let numbers: Vec<_> = numbers.map(|said| said.body.map_or(0, |body| body.number)).collect();
        let handled = &self.book.handled;
        if !numbers.starts_with(handled) {
            self.wrong(&format!("received {numbers:?} but handled {handled:?}"));
        } else if handled.len() < numbers.len() && !broke_off {
            let (handled, numbers) = (handled.len(), numbers.len());
            self.wrong(&format!("only {handled} of {numbers} were handled"));
        }
    }

    /// Checks that `on_disconnect` ran once for each admitted peer.
    fn farewell(&self) {
        let left = &self.book.left;
        let expected = usize::from(self.book.welcomed == Some(true));
        // After an abort, no task is left to run it.
        if left.len() != expected && !(self.book.aborted && left.is_empty()) {
            self.wrong(&format!("on_disconnect ran {} times", left.len()));
        }
        if left.iter().any(|told| told.sent != self.outcome.sent) {
            self.wrong("on_disconnect received a different outcome");
        }
    }
}
