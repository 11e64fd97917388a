//! The latency of echoes beside a broadcast (latency).

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use super::audience::{Audience, IN_FLIGHT};
use super::{BODY, Measured, Span, Target, histogram, join};
use crate::socket::Socket;
use crate::wire::{Kind, Role, Wire};

/// The pause between two echoes.
const PACE: Duration = Duration::from_millis(1);

/// Returns the 99th percentile in microseconds, and all latencies.
///
/// The broadcast runs at half the rate that the same server reached just before, with one publish
/// in flight. The latency of an echo starts at its scheduled time, so the delay that late echoes
/// cause to later ones counts too.
pub(super) fn measure(target: Target<'_>, peers: usize, lasts: Duration) -> Result<Measured> {
    let mut audience = Audience::gather(target, Kind::Publish, peers, BODY)?;
    audience.pass(1, Span::begin(lasts / 10))?;
    let peak = audience.pass(1, Span::begin(lasts / 2))?;
    let every = Duration::from_secs_f64(2.0 * peers as f64 / peak.max(1.0));
    let stream = join(target, Role::Quiet)?;
    let over = AtomicBool::new(false);
    let (latencies, unsent) = std::thread::scope(|scope| -> io::Result<_> {
        let echoes = scope.spawn(|| {
            let latencies = echo_on_schedule(target, stream, lasts);
            over.store(true, Ordering::Release);
            latencies
        });
        let unsent = publish_on_schedule(&mut audience, every, &over, lasts)?;
        Ok((echoes.join().expect("it does not panic")?, unsent))
    })?;
    let value = latencies.value_at_quantile(0.99) as f64 / 1e3;
    let note = (unsent > 0).then(|| {
        format!("the broadcast could not keep half its rate: {unsent} publishes were left out")
    });
    Ok(Measured { value, latencies: Some(latencies), note })
}

/// Publishes until the echoes have ended and returns the number of publishes that were left out
/// because too many were in flight.
fn publish_on_schedule(
    audience: &mut Audience,
    every: Duration,
    over: &AtomicBool,
    lasts: Duration,
) -> io::Result<u64> {
    let start = Instant::now();
    let (mut due, mut unsent) = (Duration::ZERO, 0);
    // The echoes end by themselves. The time limit is for the case that they do not.
    while !over.load(Ordering::Acquire) && start.elapsed() < lasts + super::SILENCE {
        let now = start.elapsed();
        if now >= due {
            due += every;
            if audience.in_flight() < IN_FLIGHT { audience.publish(1)? } else { unsent += 1 }
        }
        // The system waits in whole milliseconds, so a wait would always end late.
        let pause = due.saturating_sub(start.elapsed());
        let pause = if pause < PACE { Duration::ZERO } else { pause - PACE };
        audience.turn_within(pause.min(10 * PACE))?;
    }
    Ok(unsent)
}

/// Sends echoes at an even pace, whether answers come or not, while another thread reads the
/// answers.
fn echo_on_schedule(
    target: Target<'_>,
    mut stream: Socket,
    lasts: Duration,
) -> io::Result<Histogram<u64>> {
    let echoes = (lasts.as_secs_f64() / PACE.as_secs_f64()).ceil() as u32;
    let warm_up = echoes / 10;
    let mut reader = stream.plain()?.try_clone()?;
    let start = Instant::now() + PACE;
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut latencies = histogram();
            for number in 0..echoes + warm_up {
                read_echo(target.wire, &mut reader, seq(number))?;
                let latency = start.elapsed().saturating_sub(PACE * number);
                if number >= warm_up {
                    latencies.saturating_record(latency.as_nanos() as u64);
                }
            }
            Ok(latencies)
        });
        for number in 0..echoes + warm_up {
            let message = target.wire.message(Kind::Echo, seq(number), BODY);
            let due = start + PACE * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            stream.write_all(&message)?;
        }
        reading.join().expect("it does not panic")
    })
}

/// Returns the number in the body of an echo. No publish has the same one.
const fn seq(number: u32) -> u64 {
    (1 << 32) + number as u64
}

/// Reads up to the echo with this number. Publishes before it are skipped, since not every protocol
/// has subscriptions.
fn read_echo(wire: &dyn Wire, reader: &mut TcpStream, seq: u64) -> io::Result<()> {
    let wanted = wire.body(seq, BODY);
    let mut answer = vec![0; wire.answer_len(Kind::Echo, BODY)];
    loop {
        reader.read_exact(&mut answer)?;
        if wire.answer_body(Kind::Echo, &answer) == wanted {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::wire::Veltix;

    #[test]
    fn what_is_published_is_no_echo() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        let mut reader = TcpStream::connect(addr).expect("it listens");
        let (mut server, _) = listener.accept().expect("it connects");
        let wire = Veltix::plain();
        for number in 0..3 {
            let published = wire.message(Kind::Publish, u64::from(number), BODY);
            server.write_all(&published).expect("it reads");
            server.write_all(&wire.message(Kind::Echo, seq(number), BODY)).expect("it reads");
        }
        (0..3).for_each(|number| read_echo(&wire, &mut reader, seq(number)).expect("an echo"));
        drop(server);
        assert!(read_echo(&wire, &mut reader, seq(3)).is_err());
    }
}
