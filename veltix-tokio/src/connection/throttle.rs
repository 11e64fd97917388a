//! [`Throttle`]: the pause of a peer that sends faster than its rate, or whose handlers publish more than
//! their limit.
//!
//! A turn charges once at its end for the messages that it has read and the bytes that were published. While
//! the peer is in debt, nothing is read from it, so that its own sending waits.

use std::time::Duration;

use tokio::time::Instant;
use veltix_core::limits::{RATE_BURST, TELL_PAUSE};
use veltix_core::{IdSpace, Rate, RateLimiter, RequestId, TokenBucket, Verdict};

use super::ConnectionTask;
use crate::close::CloseReason;
use crate::config::Role;
use crate::flush::{FlushScope, Published};
use crate::hub::Event;
use crate::log::log_limited;
use crate::router::{Failure, Rejection};

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
    /// The pause of which the peer has not heard yet.
    refusal: Option<Duration>,
    /// The time at which the peer heard of a pause.
    told_at: Option<Instant>,
}

impl Throttle {
    /// Creates the throttle of a new connection: none, unless the server limits the rate of its peers.
    pub(super) fn new(rate: Option<&Rate>, now: Instant) -> Option<Box<Self>> {
        let rate = RateLimiter::new(rate?, now.into_std());
        Some(Box::new(Self { rate: Some(rate), ..Self::default() }))
    }

    /// Returns whether the peer has not heard of its last pause.
    #[inline]
    pub(super) const fn has_refusal(&self) -> bool {
        self.refusal.is_some()
    }

    /// Lets the peer hear of a pause until this time, unless it has just heard of another one.
    fn plan_refusal(&mut self, until: std::time::Instant, now: Instant) {
        let tells = self.rate.as_ref().is_some_and(|limiter| limiter.rate().tells_peers());
        let pause = Instant::from_std(until).duration_since(now);
        if tells && self.told_at.is_none_or(|told| now.duration_since(told) >= TELL_PAUSE) {
            self.refusal = Some(pause);
        }
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
            Verdict::Within => throttle.refusal = None,
            Verdict::Slow(until) => {
                throttle.wait(until);
                throttle.plan_refusal(until, now);
            }
            Verdict::Warn(until) => {
                throttle.wait(until);
                throttle.plan_refusal(until, now);
                self.warn_of_rate(now);
            }
            Verdict::Disconnect if fault!("slowed_for_ever") => {}
            Verdict::Disconnect => self.begin_end(CloseReason::RateExceeded),
        }
    }

    /// Answers a call of a peer that is too fast, if its message declares an error. Returns whether it
    /// was answered: any other message is handled.
    #[cold]
    pub(super) fn refuse_too_fast(&mut self, code: u16, id: RequestId) -> bool {
        // Nothing is answered before `on_connect` has admitted the peer.
        if self.routes.tell(code).is_none() || !self.is_asked(id) || !self.phase.is_admitted() {
            return false;
        }
        let Some(throttle) = self.reading.throttle() else { return false };
        let Some(retry_after) = throttle.refusal.take() else { return false };
        throttle.told_at = Some(Instant::now());
        self.complete_with_failure(code, id, Failure::Rejected(Rejection::TooFast { retry_after }));
        true
    }

    /// Returns whether a message with this id may be a call. A peer of this crate has one id for all
    /// messages that ask nothing; a Python peer numbers them like its calls.
    pub(super) fn is_asked(&self, id: RequestId) -> bool {
        let plain = match self.endpoint.services().role() {
            Role::Server => IdSpace::client().plain(),
            Role::Client => IdSpace::server().plain(),
        };
        id != plain || !self.peer.hello().is_native()
    }

    fn warn_of_rate(&self, now: Instant) {
        let peer = &self.peer;
        log_limited!(
            warn,
            self.endpoint.services().logs().rate.decide(now),
            %peer, "the peer sends faster than its rate and is slowed down"
        );
        self.endpoint.services().meters().rates_exceeded.add();
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
