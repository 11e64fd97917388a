//! Connections that only send (W2).

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::crowd::Crowd;
use super::link::Pattern;
use super::{BODY, Span, Target, after_warm_up, answered, join_many};
use crate::wire::{Kind, Role};

/// The bytes of one write.
const WRITE: usize = 16 * 1024;

/// The number of writes before an echo proves that the server has read them.
const WRITES: usize = 16;

/// The rounds of writes on a connection that may be unanswered. A slow server that reads ahead
/// would otherwise have minutes of work left at the end.
const UNANSWERED: usize = 2;

/// Returns the messages per second. An echo behind each round proves that the server has read it.
pub(super) fn measure(target: Target<'_>, peers: usize, lasts: Duration) -> io::Result<f64> {
    let sinks = Pattern::fitting(target.wire, Kind::Sink, BODY, WRITE);
    let echo = Pattern::new(target.wire, Kind::Echo, BODY, 1);
    let mut ingest = Ingest {
        crowd: Crowd::new(join_many(target, Role::Quiet, peers)?)?,
        unanswered: vec![0; peers],
        messages: (WRITES * sinks.messages()) as u64,
        round: Pattern::round(&sinks, WRITES, &echo),
        answer: target.wire.answer_len(Kind::Echo, BODY),
    };
    after_warm_up(lasts, |span| ingest.pass(span))
}

struct Ingest {
    crowd: Crowd,
    /// The unanswered rounds of each connection.
    unanswered: Vec<usize>,
    /// The writes of a round, and its echo.
    round: Pattern,
    /// The messages of a round.
    messages: u64,
    /// The bytes of an echo's answer.
    answer: usize,
}

impl Ingest {
    /// Writes once on each writable connection in turn until the time has ended, then waits for the
    /// answers. Returns the rate over both.
    fn pass(&mut self, span: Span) -> io::Result<f64> {
        let Self { crowd, unanswered, round, messages, answer } = self;
        let mut sent = 0;
        let mut writable: VecDeque<usize> = (0..crowd.links.len()).collect();
        loop {
            let is_over = span.is_over(sent);
            for _ in 0..writable.len() {
                let Some(number) = writable.pop_front() else { break };
                let link = &mut crowd.links[number];
                if link.is_even() {
                    if is_over || unanswered[number] == UNANSWERED {
                        continue;
                    }
                    link.owe(round, 1);
                    unanswered[number] += 1;
                    sent += *messages;
                }
                if !link.write(round, WRITE)? {
                    writable.push_back(number);
                }
            }
            if is_over && unanswered.iter().all(|rounds| *rounds == 0) {
                return Ok(span.rate(sent));
            }
            crowd.turn_within_silence(!writable.is_empty(), |link, scratch, event| {
                let number = event.token().0;
                if event.is_readable() {
                    answered(&mut unanswered[number], link.receive(scratch, *answer)?)?;
                }
                if !writable.contains(&number) {
                    writable.push_back(number);
                }
                Ok(())
            })?;
        }
    }
}
