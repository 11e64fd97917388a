//! Large messages on one connection that only sends (W5).

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{BODY, Target, after_warm_up, join};
use crate::wire::{Kind, Role};

/// Returns the MiB of bodies per second. An echo proves that the server has read them.
pub(super) fn measure(target: Target<'_>, lasts: Duration) -> io::Result<f64> {
    let mut stream = join(target, Role::Quiet)?;
    let message = target.wire.message(Kind::Sink, 1, 1 << 20);
    let echo = target.wire.message(Kind::Echo, 1, BODY);
    let mut answer = vec![0; target.wire.answer_len(Kind::Echo, BODY)];
    after_warm_up(lasts, |span| {
        let mut sent = 0;
        while !span.is_over(sent) {
            stream.write_all(&message)?;
            sent += 1;
        }
        stream.write_all(&echo)?;
        stream.read_exact(&mut answer)?;
        Ok(span.rate(sent))
    })
}
