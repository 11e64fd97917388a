//! Echoes with many in flight on each connection (W3).

use std::io;
use std::time::Duration;

use super::crowd::Crowd;
use super::link::Pattern;
use super::{BODY, Span, Target, after_warm_up, join_many};
use crate::wire::{Kind, Role};

/// The echoes in flight on each connection.
const IN_FLIGHT: usize = 32;

/// Returns the echoes per second.
pub(super) fn measure(target: Target<'_>, peers: usize, lasts: Duration) -> io::Result<f64> {
    let mut crowd = Crowd::new(join_many(target, Role::Quiet, peers)?)?;
    // There are more numbers than echoes in flight, since answers may overtake each other.
    let pattern = Pattern::new(target.wire, Kind::Echo, BODY, target.wire.numbers());
    let answer = target.wire.answer_len(Kind::Echo, BODY);
    after_warm_up(lasts, |span| pass(&mut crowd, &pattern, answer, span))
}

/// Sends another message on the same connection for each answer. Answers of one read are followed
/// by one write.
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
