//! [`Heartbeat`]: when to send a ping to a silent peer, and when to close the connection.

use std::time::{Duration, Instant};

use crate::limits::HEARTBEAT_MISSES;

/// A pulse is the action that [`Heartbeat::poll`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the caller has to handle each of them")]
pub enum Pulse {
    /// Do nothing. Poll again at this time at the latest.
    Wait(Instant),
    /// Send a ping, then poll again.
    Ping,
    /// Close the connection, because the peer is dead.
    Dead,
}

/// A heartbeat watches a connection for silence. After one silent interval it asks for a ping,
/// after a second for another ping, and after the third it declares the peer dead.
///
/// Any byte in either direction counts as a sign of life, not only the pong, so a busy connection
/// never pings. A late poll does no harm, because each poll takes one step. A machine that slept
/// for an hour therefore pings its peers before it closes their connections.
///
/// ```
/// use std::time::{Duration, Instant};
/// use veltix_core::{Heartbeat, Pulse};
///
/// let (start, interval) = (Instant::now(), Duration::from_secs(15));
/// let mut heartbeat = Heartbeat::new(interval, start);
/// assert_eq!(heartbeat.poll(start, false), Pulse::Wait(start + interval));
/// assert_eq!(heartbeat.poll(start + interval, false), Pulse::Ping);
/// assert_eq!(heartbeat.poll(start + interval, false), Pulse::Wait(start + 2 * interval));
/// ```
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Holds the start of the current silent interval.
    since: Instant,
    /// Holds the interval in milliseconds, and not a `Duration`, because every connection has this
    /// struct.
    interval: u32,
    /// Counts the pings since the last sign of life.
    pings: u8,
    /// Is true if the last poll was excused.
    excused: bool,
}

impl Heartbeat {
    /// Creates the heartbeat of a connection that is alive now. The interval counts in whole
    /// milliseconds, from 1 to `u32::MAX` (49 days).
    #[must_use]
    pub fn new(interval: Duration, now: Instant) -> Self {
        let interval = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX).max(1);
        Self { since: now, interval, pings: 0, excused: false }
    }

    /// Records a sign of life: a byte was received or written. The call is cheap, and one call per
    /// read or write is enough.
    pub const fn alive(&mut self, now: Instant) {
        self.since = now;
        self.pings = 0;
    }

    /// Returns the time at which [`Heartbeat::poll`] has something to do, unless a sign of life
    /// comes before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.since + Duration::from_millis(self.interval.into())
    }

    /// Returns the action that is due now.
    ///
    /// Silence does not count while it is `excused`, which means that this side has paused reading,
    /// or that its own ping still waits in the outbox. Poll when an excuse begins and when it ends.
    /// The interval starts again at the later of the two polls.
    pub fn poll(&mut self, now: Instant, excused: bool) -> Pulse {
        // The whole time since an excused poll may have been excused, so it does not count either.
        // A dead peer that is noticed later does less harm than a live peer whose connection is
        // closed.
        if excused || self.excused {
            self.since = now;
            self.excused = excused;
        }
        if now < self.deadline() {
            return Pulse::Wait(self.deadline());
        }
        if u32::from(self.pings) + 1 >= HEARTBEAT_MISSES {
            return Pulse::Dead;
        }
        self.since = now;
        self.pings += 1;
        Pulse::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds a heartbeat with an interval of 15 s. Its pulses are given in seconds since the start.
    struct Check {
        start: Instant,
        heartbeat: Heartbeat,
    }

    impl Check {
        fn new() -> Self {
            let start = Instant::now();
            Self { start, heartbeat: Heartbeat::new(Duration::from_secs(15), start) }
        }

        fn at(&self, second: u64) -> Instant {
            self.start + Duration::from_secs(second)
        }

        fn alive(&mut self, second: u64) {
            self.heartbeat.alive(self.at(second));
        }

        #[track_caller]
        fn poll(&mut self, second: u64, expected: &str) {
            self.poll_with(second, false, expected);
        }

        #[track_caller]
        fn excused(&mut self, second: u64, expected: &str) {
            self.poll_with(second, true, expected);
        }

        #[track_caller]
        fn poll_with(&mut self, second: u64, excused: bool, expected: &str) {
            let pulse = match self.heartbeat.poll(self.at(second), excused) {
                Pulse::Wait(until) => format!("wait {}", (until - self.start).as_secs()),
                Pulse::Ping => "ping".to_owned(),
                Pulse::Dead => "dead".to_owned(),
            };
            assert_eq!(pulse, expected, "at second {second}");
        }
    }

    #[test]
    fn two_pings_and_then_the_end() {
        let mut check = Check::new();
        check.poll(14, "wait 15");
        check.poll(15, "ping");
        check.poll(15, "wait 30");
        check.poll(30, "ping");
        check.poll(44, "wait 45");
        check.poll(45, "dead");
        check.poll(46, "dead");
    }

    #[test]
    fn any_life_starts_anew() {
        let mut check = Check::new();
        check.poll(15, "ping");
        check.poll(30, "ping");
        check.alive(44);
        check.poll(45, "wait 59");
        check.poll(59, "ping");
        check.poll(74, "ping");
        check.poll(89, "dead");
    }

    #[test]
    fn excused_silence_does_not_count() {
        let mut check = Check::new();
        check.poll(15, "ping");
        check.poll(30, "ping");
        check.excused(40, "wait 55");
        check.excused(1000, "wait 1015");
        check.poll(1010, "wait 1025");
        check.poll(1025, "dead");
    }

    #[test]
    fn an_excuse_that_ends_between_polls_covers_the_time_between_them() {
        let mut check = Check::new();
        check.poll(15, "ping");
        check.poll(30, "ping");
        check.excused(31, "wait 46");
        check.poll(46, "wait 61");
        check.poll(61, "dead");
    }

    #[test]
    fn a_late_poll_takes_one_step() {
        let mut check = Check::new();
        check.poll(3600, "ping");
        check.poll(3600, "wait 3615");
        check.poll(7200, "ping");
        check.poll(7215, "dead");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_is_no_silence() {
        let mut check = Check::new();
        check.alive(20);
        check.poll(10, "wait 35");
    }

    #[test]
    fn intervals_beyond_the_range_are_its_ends() {
        let now = Instant::now();
        for (interval, millis) in [(Duration::ZERO, 1), (Duration::MAX, u32::MAX)] {
            let until = now + Duration::from_millis(millis.into());
            assert_eq!(Heartbeat::new(interval, now).poll(now, false), Pulse::Wait(until));
        }
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Option<Heartbeat>>() <= 32);
    }
}
