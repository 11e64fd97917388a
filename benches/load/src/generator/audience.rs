//! Broadcasts (W4, W4p, tag): one connection publishes, the others receive.

use std::io;
use std::time::Duration;

use super::crowd::Crowd;
use super::link::Pattern;
use super::{BODY, SILENCE, Span, Target, after_warm_up, join, join_many, silent};
use crate::wire::{Kind, Role};

/// The largest number of publishes in flight.
pub(super) const IN_FLIGHT: usize = 64;

/// Returns the deliveries per second with this number of publishes in flight.
pub(super) fn measure(
    target: Target<'_>,
    kind: Kind,
    readers: usize,
    in_flight: usize,
    lasts: Duration,
) -> io::Result<f64> {
    let mut audience = Audience::gather(target, kind, readers, BODY)?;
    after_warm_up(lasts, |span| audience.pass(in_flight, span))
}

/// A publisher and the readers of its publishes.
#[derive(Debug)]
pub(super) struct Audience {
    /// The readers, and the publisher as the last one.
    crowd: Crowd,
    pattern: Pattern,
    /// The bytes of one delivery.
    delivery: usize,
    published: u64,
    progress: Progress,
}

impl Audience {
    /// Connects a publisher and `peers` readers of this kind of message.
    pub(super) fn gather(
        target: Target<'_>,
        kind: Kind,
        readers: usize,
        body: usize,
    ) -> io::Result<Self> {
        let role = if kind == Kind::PublishTag { Role::Tagged } else { Role::Subscriber };
        let mut streams = join_many(target, role, readers)?;
        streams.push(join(target, Role::Quiet)?);
        Ok(Self {
            crowd: Crowd::new(streams)?,
            pattern: Pattern::new(target.wire, kind, body, 256),
            delivery: target.wire.answer_len(kind, body),
            published: 0,
            progress: Progress::new(readers),
        })
    }

    /// Keeps `in_flight` publishes in flight: the next one is sent when every reader has the oldest
    /// one.
    pub(super) fn pass(&mut self, in_flight: usize, span: Span) -> io::Result<f64> {
        let mut delivered = 0;
        while !span.is_over(delivered) {
            self.publish(in_flight - self.in_flight())?;
            delivered += self.turn()?;
        }
        let rate = span.rate(delivered);
        while self.in_flight() > 0 {
            self.turn()?;
        }
        Ok(rate)
    }

    /// Returns the number of publishes that not every reader has received.
    pub(super) const fn in_flight(&self) -> usize {
        (self.published - self.progress.complete) as usize
    }

    pub(super) const fn published(&self) -> u64 {
        self.published
    }

    /// Sends `messages` messages. No more than [`IN_FLIGHT`] may then be in flight.
    pub(super) fn publish(&mut self, messages: usize) -> io::Result<()> {
        if messages == 0 {
            return Ok(());
        }
        self.published += messages as u64;
        debug_assert!(self.in_flight() <= IN_FLIGHT);
        let Some(publisher) = self.crowd.links.last_mut() else { return Ok(()) };
        publisher.owe(&self.pattern, messages);
        publisher.flush(&self.pattern).map(drop)
    }

    /// Waits for deliveries and returns their number. Silence for too long is an error.
    pub(super) fn turn(&mut self) -> io::Result<u64> {
        match self.turn_within(SILENCE)? {
            Some(delivered) => Ok(delivered),
            None => Err(silent()),
        }
    }

    /// Waits for deliveries as [`turn`](Self::turn) does, but returns `None` if there is none
    /// within this time.
    pub(super) fn turn_within(&mut self, timeout: Duration) -> io::Result<Option<u64>> {
        let Self { crowd, pattern, delivery, progress, .. } = self;
        let publisher = crowd.links.len() - 1;
        let mut delivered = 0;
        let something = crowd.turn_within(timeout, |link, scratch, event| {
            let number = event.token().0;
            if number == publisher {
                // Some protocols send the publisher the number of receivers.
                if event.is_readable() {
                    link.receive(scratch, 1)?;
                }
                return link.flush(pattern).map(drop);
            }
            if event.is_readable() {
                let messages = link.receive(scratch, *delivery)?;
                progress.advance(number, messages)?;
                delivered += messages as u64;
            }
            Ok(())
        })?;
        Ok(something.then_some(delivered))
    }
}

/// The position of each reader.
#[derive(Debug)]
pub(super) struct Progress {
    /// The number of messages that each reader has received.
    readers: Vec<u64>,
    /// The number of readers that have received a message, by its number modulo [`IN_FLIGHT`].
    reached: [usize; IN_FLIGHT],
    /// The number of messages that every reader has received.
    complete: u64,
}

impl Progress {
    pub(super) fn new(readers: usize) -> Self {
        Self { readers: vec![0; readers], reached: [0; IN_FLIGHT], complete: 0 }
    }

    /// Returns the number of messages that every reader has received.
    pub(super) const fn complete(&self) -> u64 {
        self.complete
    }

    /// Returns the number of messages that a reader has received.
    pub(super) fn of(&self, reader: usize) -> u64 {
        self.readers[reader]
    }

    /// Records that a reader has received `messages` more messages. A reader cannot have more than
    /// are in flight.
    pub(super) fn advance(&mut self, reader: usize, messages: usize) -> io::Result<()> {
        let before = self.readers[reader];
        let after = before + messages as u64;
        if after - self.complete > IN_FLIGHT as u64 {
            return Err(io::Error::other("a reader received more messages than were published"));
        }
        self.readers[reader] = after;
        for number in before..after {
            self.reached[number as usize % IN_FLIGHT] += 1;
        }
        while let reached = &mut self.reached[self.complete as usize % IN_FLIGHT]
            && *reached == self.readers.len()
        {
            *reached = 0;
            self.complete += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_when_the_last_reader_has_it() {
        let mut progress = Progress::new(3);
        progress.advance(0, 2).expect("published");
        progress.advance(1, 3).expect("published");
        assert_eq!(progress.complete, 0);
        progress.advance(2, 1).expect("published");
        assert_eq!(progress.complete, 1);
        progress.advance(2, 2).expect("published");
        assert_eq!(progress.complete, 2);
        progress.advance(0, 1).expect("published");
        assert_eq!(progress.complete, 3);
    }

    #[test]
    fn the_circle_closes() {
        let mut progress = Progress::new(2);
        for round in 1..=10 {
            progress.advance(0, IN_FLIGHT).expect("published");
            progress.advance(1, IN_FLIGHT).expect("published");
            assert_eq!(progress.complete, round * IN_FLIGHT as u64);
        }
        assert!(progress.advance(0, IN_FLIGHT + 1).is_err());
    }
}
