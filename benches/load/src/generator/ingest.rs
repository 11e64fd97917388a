//! W2: connections that only send.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::crowd::Crowd;
use super::link::{Link, Pattern};
use super::{BODY, SILENCE, Span, Target, after_warm_up, answered, join_many, silent};
use crate::wire::{Kind, Role};

/// Bytes of a write.
const WRITE: usize = 16 * 1024;

/// Messages a second, of which an echo on each connection shows that they were taken.
pub(super) fn measure(target: Target<'_>, peers: usize, lasts: Duration) -> io::Result<f64> {
    let mut ingest = Ingest {
        crowd: Crowd::new(join_many(target, Role::Quiet, peers)?)?,
        sinks: Pattern::fitting(target.wire, Kind::Sink, BODY, WRITE),
        echo: Pattern::new(target.wire, Kind::Echo, BODY, 1),
        answer: target.wire.answer_len(Kind::Echo, BODY),
    };
    after_warm_up(lasts, |span| ingest.pass(span))
}

struct Ingest {
    crowd: Crowd,
    sinks: Pattern,
    echo: Pattern,
    answer: usize,
}

impl Ingest {
    fn pass(&mut self, span: Span) -> io::Result<f64> {
        let sent = self.send(span)?;
        self.settle()?;
        Ok(span.rate(sent))
    }

    /// One write on each connection that can be written to, in turn; gives the messages.
    fn send(&mut self, span: Span) -> io::Result<u64> {
        let Self { crowd, sinks, .. } = self;
        let mut sent = 0;
        let mut writable: VecDeque<usize> = (0..crowd.links.len()).collect();
        while !span.is_over(sent) {
            for _ in 0..writable.len() {
                let Some(number) = writable.pop_front() else { break };
                let link = &mut crowd.links[number];
                if link.is_even() {
                    link.owe(sinks, sinks.messages());
                    sent += sinks.messages() as u64;
                }
                if !link.flush(sinks)? {
                    writable.push_back(number);
                }
            }
            let stuck = writable.is_empty();
            let timeout = if stuck { SILENCE } else { Duration::ZERO };
            let something = crowd.turn_within(timeout, |_, _, event| {
                let number = event.token().0;
                if event.is_writable() && !writable.contains(&number) {
                    writable.push_back(number);
                }
                Ok(())
            })?;
            if stuck && !something {
                return Err(silent());
            }
        }
        Ok(sent)
    }

    /// Finishes what was begun on each connection and waits for an echo on it.
    fn settle(&mut self) -> io::Result<()> {
        let Self { crowd, sinks, echo, answer } = self;
        let mut echoing = vec![false; crowd.links.len()];
        let mut waiting = crowd.links.len();
        for (number, link) in crowd.links.iter_mut().enumerate() {
            echoing[number] = link.finish(sinks, echo)?;
        }
        while waiting > 0 {
            crowd.turn(|link, scratch, event| {
                let number = event.token().0;
                if event.is_readable() {
                    answered(&mut waiting, link.receive(scratch, *answer)?)?;
                }
                if echoing[number] {
                    link.flush(echo)?;
                } else {
                    echoing[number] = link.finish(sinks, echo)?;
                }
                Ok(())
            })?;
        }
        crowd.links.iter_mut().for_each(Link::restart);
        Ok(())
    }
}

impl Link {
    /// Writes the rest of what is owed and, behind it, an echo; says whether that has begun.
    fn finish(&mut self, sinks: &Pattern, echo: &Pattern) -> io::Result<bool> {
        if self.flush(sinks)? {
            return Ok(false);
        }
        self.restart();
        self.owe(echo, 1);
        self.flush(echo)?;
        Ok(true)
    }
}
