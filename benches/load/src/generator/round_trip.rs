//! One echo in flight (W1).

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::{BODY, Target, after_warm_up, histogram, join};
use crate::wire::{Kind, Role};

/// Returns the median round trip in microseconds.
pub(super) fn measure(target: Target<'_>, lasts: Duration) -> io::Result<f64> {
    let mut stream = join(target, Role::Quiet)?;
    let message = target.wire.message(Kind::Echo, 1, BODY);
    let mut answer = vec![0; target.wire.answer_len(Kind::Echo, BODY)];
    after_warm_up(lasts, |span| {
        let mut latencies = histogram();
        let mut before = Instant::now();
        while latencies.is_empty() || !span.is_over(latencies.len()) {
            stream.write_all(&message)?;
            stream.read_exact(&mut answer)?;
            let now = Instant::now();
            latencies.saturating_record((now - before).as_nanos() as u64);
            before = now;
        }
        Ok(latencies.value_at_quantile(0.5) as f64 / 1e3)
    })
}
