//! Short connections (W7): connect, echo once, close.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{BODY, Span, Target, after_warm_up, join};
use crate::wire::{Kind, Role};

/// Returns the connections per second with `at_a_time` of them at a time.
///
/// A handshake waits for answers, so this is the one workload with a thread for each connection.
pub(super) fn measure(target: Target<'_>, at_a_time: usize, lasts: Duration) -> io::Result<f64> {
    after_warm_up(lasts, |span| {
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..at_a_time).map(|_| scope.spawn(|| visit_again(target, span))).collect();
            let visits: io::Result<Vec<u64>> =
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
            Ok(span.rate(visits?.into_iter().sum()))
        })
    })
}

/// Makes one connection after the other and returns their number.
fn visit_again(target: Target<'_>, span: Span) -> io::Result<u64> {
    let message = target.wire.message(Kind::Echo, 1, BODY);
    let mut answer = vec![0; target.wire.answer_len(Kind::Echo, BODY)];
    let mut visits = 0;
    while !span.is_over(visits) {
        let mut stream = join(target, Role::Quiet)?;
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
        // A reset leaves no port in TIME_WAIT. There are not enough ports for this workload
        // otherwise.
        socket2::SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO))?;
        visits += 1;
    }
    Ok(visits)
}
