//! Broadcasts through a cluster (W8): one connection publishes on the first node, readers are on all
//! nodes.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use super::audience::{IN_FLIGHT, Progress};
use super::crowd::Crowd;
use super::link::Pattern;
use super::{Span, Target, histogram, join, join_many};
use crate::socket::Socket;
use crate::wire::{Kind, Role, Wire};

/// The number of readers of a node of which the latencies are recorded, evenly spread. The cost of the
/// generator would count otherwise.
const RECORDED: usize = 64;

/// The messages of the check before a measurement.
const CHECKED: u64 = 3;

/// The readers of all nodes, and the publisher on the first one.
pub(crate) struct Nodes<'a> {
    wire: &'a dyn Wire,
    /// The readers, node by node, and the publisher as the last one.
    crowd: Crowd,
    nodes: usize,
    /// The readers of each node.
    readers: usize,
}

/// The deliveries of one pass, on the first node and on all others.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) here: Deliveries,
    pub(crate) elsewhere: Deliveries,
}

/// Deliveries of readers on some nodes.
#[derive(Debug)]
pub(crate) struct Deliveries {
    /// Deliveries per second.
    pub(crate) rate: f64,
    /// The times in nanoseconds from a publish to its deliveries.
    latencies: Histogram<u64>,
}

impl Deliveries {
    /// Returns a quantile of the latencies in microseconds.
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }
}

impl<'a> Nodes<'a> {
    /// Connects a publisher to the first server and `readers` readers to each server, and checks that
    /// each reader receives what is published. The readers of the first server have the tag.
    pub(crate) fn gather(targets: &[Target<'a>], readers: usize, settled: Instant) -> Result<Self> {
        let first = *targets.first().context("there is no node")?;
        let mut streams = Vec::new();
        for (number, target) in targets.iter().enumerate() {
            let role = if number == 0 { Role::Tagged } else { Role::Subscriber };
            streams.extend(join_many(*target, role, readers)?);
        }
        let mut publisher = join(first, Role::Quiet)?;
        std::thread::sleep(settled.saturating_duration_since(Instant::now()));
        for body in [64, 1_024] {
            check(first.wire, &mut publisher, &mut streams, Kind::Publish, body)
                .context("broadcast to all nodes")?;
            check(first.wire, &mut publisher, &mut streams[..readers], Kind::PublishTag, body)
                .context("broadcast to a tag of one node")?;
        }
        streams.push(publisher);
        let crowd = Crowd::new(streams)?;
        Ok(Self { wire: first.wire, crowd, nodes: targets.len(), readers })
    }

    /// Broadcasts to the readers of all nodes, or with a tag to those of the first node. Keeps
    /// `in_flight` publishes in flight: the next one is sent when every reader has the oldest one. It
    /// takes longer than `lasts` if no more publishes than those are complete by then.
    pub(crate) fn measure(
        &mut self,
        kind: Kind,
        body: usize,
        in_flight: usize,
        lasts: Duration,
    ) -> io::Result<Passed> {
        let pattern = Pattern::new(self.wire, kind, body, 256);
        self.crowd.links.iter_mut().for_each(super::link::Link::restart);
        let delivery = self.wire.answer_len(kind, body);
        let readers =
            if kind == Kind::PublishTag { self.readers } else { self.readers * self.nodes };
        let mut flight = Flight::new(readers, self.readers);
        // The publishes in flight at the end of the warm-up go on, since a slow server needs seconds for
        // its first ones.
        let mut pass = |flight: &mut Flight, span: Span, least: u64| -> io::Result<()> {
            while !span.is_over(flight.delivered()) || flight.completed() < least {
                self.publish(flight, &pattern, in_flight)?;
                self.turn(flight, &pattern, delivery)?;
            }
            Ok(())
        };
        pass(&mut flight, Span::begin(lasts / 10), 0)?;
        flight.begin();
        let span = Span::begin(lasts);
        pass(&mut flight, span, in_flight as u64)?;
        let passed = flight.passed(span);
        while flight.in_flight() > 0 {
            self.turn(&mut flight, &pattern, delivery)?;
        }
        Ok(passed)
    }

    fn publish(&mut self, flight: &mut Flight, pattern: &Pattern, most: usize) -> io::Result<()> {
        let more = most - flight.in_flight();
        let Some(publisher) = self.crowd.links.last_mut() else { return Ok(()) };
        if more == 0 {
            return Ok(());
        }
        flight.publish(more);
        publisher.owe(pattern, more);
        publisher.flush(pattern).map(drop)
    }

    fn turn(&mut self, flight: &mut Flight, pattern: &Pattern, delivery: usize) -> io::Result<()> {
        let publisher = self.crowd.links.len() - 1;
        self.crowd.turn(|link, scratch, event| {
            let number = event.token().0;
            if number == publisher {
                return link.flush(pattern).map(drop);
            }
            if event.is_readable() {
                let messages = link.receive(scratch, delivery)?;
                flight.advance(number, messages)?;
            }
            Ok(())
        })
    }
}

/// The publishes of one measurement and the position of each reader.
struct Flight {
    progress: Progress,
    readers: usize,
    /// The readers of the first node.
    here: usize,
    /// Every reader with a number that this divides is recorded.
    recorded: usize,
    published: u64,
    /// The publishes that were complete at the beginning.
    before: u64,
    /// The time of each publish, by its number modulo [`IN_FLIGHT`].
    times: [Instant; IN_FLIGHT],
    /// The deliveries and the latencies on the first node, and on all others.
    counts: [u64; 2],
    latencies: [Histogram<u64>; 2],
}

impl Flight {
    fn new(readers: usize, here: usize) -> Self {
        Self {
            progress: Progress::new(readers),
            readers,
            here,
            recorded: here.div_ceil(RECORDED),
            published: 0,
            before: 0,
            times: [Instant::now(); IN_FLIGHT],
            counts: [0; 2],
            latencies: [histogram(), histogram()],
        }
    }

    /// Forgets the deliveries so far, which were a warm-up.
    fn begin(&mut self) {
        self.before = self.progress.complete();
        self.counts = [0; 2];
        self.latencies.iter_mut().for_each(Histogram::reset);
    }

    const fn in_flight(&self) -> usize {
        (self.published - self.progress.complete()) as usize
    }

    /// Returns the publishes since the beginning that every reader has received.
    const fn completed(&self) -> u64 {
        self.progress.complete() - self.before
    }

    const fn delivered(&self) -> u64 {
        self.counts[0] + self.counts[1]
    }

    fn publish(&mut self, messages: usize) {
        let now = Instant::now();
        for number in self.published..self.published + messages as u64 {
            self.times[number as usize % IN_FLIGHT] = now;
        }
        self.published += messages as u64;
    }

    fn advance(&mut self, reader: usize, messages: usize) -> io::Result<()> {
        if messages == 0 {
            return Ok(());
        }
        if reader >= self.readers {
            return Err(io::Error::other("a reader without the tag received a message to it"));
        }
        let place = usize::from(reader >= self.here);
        let before = self.progress.of(reader);
        self.counts[place] += messages as u64;
        if reader.is_multiple_of(self.recorded) {
            let now = Instant::now();
            for number in before..before + messages as u64 {
                let latency = now - self.times[number as usize % IN_FLIGHT];
                self.latencies[place].saturating_record(latency.as_nanos() as u64);
            }
        }
        self.progress.advance(reader, messages)
    }

    fn passed(&self, span: Span) -> Passed {
        let [here, elsewhere] = [0, 1].map(|place: usize| Deliveries {
            rate: span.rate(self.counts[place]),
            latencies: self.latencies[place].clone(),
        });
        Passed { here, elsewhere }
    }
}

/// Publishes some messages and checks that each reader gets each of them once and in order.
fn check(
    wire: &dyn Wire,
    publisher: &mut Socket,
    readers: &mut [Socket],
    kind: Kind,
    body: usize,
) -> Result<()> {
    let bytes: Vec<_> = (0..CHECKED).flat_map(|seq| wire.message(kind, seq, body)).collect();
    publisher.write_all(&bytes)?;
    let mut delivery = vec![0; wire.answer_len(kind, body)];
    for (number, reader) in readers.iter_mut().enumerate() {
        for seq in 0..CHECKED {
            reader
                .read_exact(&mut delivery)
                .with_context(|| format!("reader {number} got no message {seq}"))?;
            ensure!(
                wire.answer_body(kind, &delivery) == wire.body(seq, body),
                "reader {number} got another message than message {seq}"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_counted_by_place_and_a_publish_ends_with_its_last_reader() {
        let mut flight = Flight::new(4, 2);
        flight.publish(2);
        for reader in 0..4 {
            flight.advance(reader, 1).expect("it was published");
        }
        assert_eq!((flight.in_flight(), flight.counts), (1, [2, 2]));
        flight.advance(3, 1).expect("it was published");
        assert_eq!((flight.in_flight(), flight.counts), (1, [2, 3]));
        let recorded = [0, 1].map(|place: usize| flight.latencies[place].len());
        assert_eq!(recorded, [2, 3]);
        flight.begin();
        assert_eq!((flight.in_flight(), flight.delivered()), (1, 0));
    }

    #[test]
    fn a_delivery_to_a_reader_without_the_tag_is_an_error() {
        let mut flight = Flight::new(2, 2);
        flight.publish(1);
        assert!(flight.advance(2, 1).is_err());
        assert!(flight.advance(2, 0).is_ok());
    }
}
