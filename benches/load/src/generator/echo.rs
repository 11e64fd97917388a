//! W3: echoes, so many in flight on each connection.

use std::io;
use std::time::Duration;

use super::crowd::Crowd;
use super::link::Pattern;
use super::{BODY, Span, Target, after_warm_up, join_many};
use crate::wire::{Kind, Role};

/// Echoes in flight on each connection.
const IN_FLIGHT: usize = 32;

/// Echoes a second.
pub(super) fn measure(target: Target<'_>, peers: usize, lasts: Duration) -> io::Result<f64> {
    let mut crowd = Crowd::new(join_many(target, Role::Quiet, peers)?)?;
    // More numbers than are in flight, so that answers may overtake each other.
    let pattern = Pattern::new(target.wire, Kind::Echo, BODY, 256);
    let answer = target.wire.answer_len(Kind::Echo, BODY);
    after_warm_up(lasts, |span| pass(&mut crowd, &pattern, answer, span))
}

/// Each answer is followed by another message on the same connection; those that came in at the
/// same time are followed by one write.
fn pass(crowd: &mut Crowd, pattern: &Pattern, answer: usize, span: Span) -> io::Result<f64> {
    for link in &mut crowd.links {
        link.owe(pattern, IN_FLIGHT);
        link.flush(pattern)?;
    }
    let mut answered = 0;
    while !span.is_over(answered) {
        crowd.turn(|link, scratch, event| {
            if event.is_readable() {
                let answers = link.receive(scratch, answer)?;
                answered += answers as u64;
                link.owe(pattern, answers);
            }
            link.flush(pattern).map(drop)
        })?;
    }
    let rate = span.rate(answered);
    let mut in_flight = IN_FLIGHT * crowd.links.len();
    while in_flight > 0 {
        crowd.turn(|link, scratch, event| {
            if event.is_readable() {
                super::answered(&mut in_flight, link.receive(scratch, answer)?)?;
            }
            link.flush(pattern).map(drop)
        })?;
    }
    Ok(rate)
}
