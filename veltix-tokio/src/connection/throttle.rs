//! [`Throttle`]: the pause of a peer that sends faster than its rate, or whose handlers publish more than
//! their limit.
//!
//! A turn charges once at its end for the messages that it has read and the bytes that were published. While
//! the peer is in debt, nothing is read from it, so that its own sending waits.

use tokio::time::Instant;
use veltix_core::limits::RATE_BURST;
use veltix_core::{Rate, RateLimiter, TokenBucket, Verdict};

use super::ConnectionTask;
use crate::close::CloseReason;
use crate::flush::{FlushScope, Published};
use crate::hub::Event;
use crate::log::log_limited;

/// The debt of one peer. A connection has a throttle once it needs one.
#[derive(Default)]
pub(super) struct Throttle {
    rate: Option<RateLimiter>,
    /// The published bytes, by the numbers of routes with a limit of their own; `None` is all others.
    published: Vec<(Option<u16>, TokenBucket)>,
    /// The time until which nothing is read.
    until: Option<Instant>,
    /// The time since which nothing is read for another reason than the peer's debt.
    excused: Option<Instant>,
}

impl Throttle {
    /// Creates the throttle of a new connection: none, unless the server limits the rate of its peers.
    pub(super) fn new(rate: Option<&Rate>, now: Instant) -> Option<Box<Self>> {
        let rate = RateLimiter::new(rate?, now.into_std());
        Some(Box::new(Self { rate: Some(rate), ..Self::default() }))
    }

    /// Returns the time until which nothing is read.
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Records whether the peer is read. While it is not, for another reason than its debt, its rate
    /// allowance keeps growing.
    pub(super) fn note_pause(&mut self, reads: bool) {
        let Some(rate) = &mut self.rate else { return };
        let is_excused = !reads && self.until.is_none();
        match self.excused {
            None if is_excused => self.excused = Some(Instant::now()),
            Some(since) if !is_excused => {
                rate.excuse(since.into_std(), Instant::now().into_std());
                self.excused = None;
            }
            _ => {}
        }
    }

    /// Ends the pause if its time has passed.
    pub(super) fn end_pause(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
        }
    }

    fn wait(&mut self, until: std::time::Instant) {
        let until = Instant::from_std(until);
        self.until = self.until.max(Some(until));
    }

    /// Charges bytes that were published under one limit.
    fn publish(&mut self, route: Option<u16>, limit: u64, bytes: u64, now: Instant) {
        let now = now.into_std();
        let at = self.published.iter().position(|(of, _)| *of == route).unwrap_or_else(|| {
            self.published.push((route, TokenBucket::new(limit, RATE_BURST, now)));
            self.published.len() - 1
        });
        if let Some(until) = self.published[at].1.take(bytes, now) {
            self.wait(until);
        }
    }
}

impl ConnectionTask {
    /// Charges the messages that a turn has read.
    #[cold]
    pub(super) fn charge_read(&mut self, messages: usize, bytes: usize, now: Instant) {
        let Some(throttle) = self.reading.throttle() else { return };
        let Some(rate) = &mut throttle.rate else { return };
        if fault!("reading_free_of_charge") {
            return;
        }
        let verdict = rate.charge(messages as u64, bytes as u64, now.into_std());
        match verdict {
            Verdict::Within => {}
            Verdict::Slow(until) => throttle.wait(until),
            Verdict::Warn(until) => {
                throttle.wait(until);
                self.warn_of_rate(now);
            }
            Verdict::Disconnect if fault!("slowed_for_ever") => {}
            Verdict::Disconnect => self.begin_end(CloseReason::RateExceeded),
        }
    }

    fn warn_of_rate(&self, now: Instant) {
        let peer = &self.peer;
        log_limited!(
            warn,
            self.endpoint.services().logs().rate.decide(now),
            %peer, "the peer sends faster than its rate and is slowed down"
        );
        self.endpoint.events().emit(|| Event::RateExceeded { peer: peer.clone() });
    }

    /// Charges the bytes that a turn's handlers have published.
    #[cold]
    pub(super) fn charge_published(
        &mut self,
        published: Published,
        scope: &FlushScope,
        now: Instant,
    ) {
        let limit = self.limits().publish_limit;
        let throttle = self.reading.make_throttle();
        if let Some(limit) =
            limit.filter(|_| published.waiting > 0 && !fault!("publishing_free_of_charge"))
        {
            throttle.publish(None, limit, published.waiting, now);
        }
        for part in scope.take_limited() {
            if fault!("route_limit_forgotten") {
                continue;
            }
            let limit = part.limit;
            throttle.publish(Some(limit.route), limit.bytes_per_second, part.bytes, now);
        }
        // The next look may come only after the pause has ended.
        self.note_pause();
    }
}
