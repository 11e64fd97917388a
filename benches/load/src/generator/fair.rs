//! Echoes of honest peers beside a flood, and beside an honest sender of the same byte rate (fair).

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use super::{BODY, Measured, Target, histogram, join, join_many};
use crate::socket::Socket;
use crate::wire::{Kind, Role};

/// The pause between two echoes of one honest peer.
const PACE: Duration = Duration::from_millis(2);

/// The bytes of one write of the flooder, and of one body of the honest sender.
const CHUNK: usize = 16 * 1024;

/// The 99th percentile that is always allowed beside a flood, however fast the server is otherwise.
const FLOOR_US: f64 = 10_000.0;

/// The same as a multiple of the 99th percentile beside an honest sender of the same byte rate.
const FACTOR: f64 = 3.0;

/// Returns the 99th percentile of the honest echoes beside a flood, divided by the allowed value.
///
/// The flooder writes messages of 64 bytes without an answer as fast as the server reads them.
/// After it, an honest sender takes its place: it sends the same bytes per second in large messages
/// at an even pace. Each honest peer has a thread, since it waits both for its schedule and for its
/// answer. The latency of an echo starts at its scheduled time.
pub(super) fn measure(target: Target<'_>, peers: usize, lasts: Duration) -> Result<Measured> {
    let mut honest = join_many(target, Role::Quiet, peers)?;
    let (flooded, flood) = beside(target, &mut honest, lasts, |stream, over| {
        let message = target.wire.message(Kind::Sink, 1, BODY);
        send(target, stream, &message.repeat(CHUNK / message.len()), None, over)
    })?;
    let (calm, _) = beside(target, &mut honest, lasts, |stream, over| {
        let message = target.wire.message(Kind::Sink, 1, CHUNK);
        let every = Duration::from_secs_f64(message.len() as f64 / flood.max(1.0));
        send(target, stream, &message, Some(every), over)
    })?;
    let p99 = |latencies: &Histogram<u64>| latencies.value_at_quantile(0.99) as f64 / 1e3;
    let allowed = (FACTOR * p99(&calm)).max(FLOOR_US);
    let note = format!(
        "p99 {:.1} ms beside a flood of {:.1} MB/s, {:.1} ms beside an honest peer",
        p99(&flooded) / 1e3,
        flood / 1e6,
        p99(&calm) / 1e3
    );
    let value = p99(&flooded) / allowed;
    Ok(Measured { value, latencies: Some(flooded), note: Some(note) })
}

/// Returns the latencies of the honest peers while `sends` runs, and the bytes per second that
/// `sends` has sent.
fn beside(
    target: Target<'_>,
    honest: &mut [Socket],
    lasts: Duration,
    sends: impl FnOnce(Socket, &AtomicBool) -> io::Result<f64> + Send,
) -> io::Result<(Histogram<u64>, f64)> {
    let sender = join(target, Role::Quiet)?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| sends(sender, &over));
        let start = Instant::now() + PACE;
        let echoing: Vec<_> = honest
            .iter_mut()
            .map(|stream| scope.spawn(move || echo_on_schedule(target, stream, start, lasts)))
            .collect();
        // All of them end before the sender is stopped, also those that fail.
        let echoed: Vec<_> = echoing
            .into_iter()
            .map(|echoes| echoes.join().expect("an honest peer panicked"))
            .collect();
        over.store(true, Ordering::Release);
        let rate = sending.join().expect("the sender panicked")?;
        let mut all = histogram();
        for latencies in echoed {
            all += latencies?;
        }
        Ok((all, rate))
    })
}

/// Sends `piece` until `over` is set, at an even pace or as fast as the server reads. Returns the
/// bytes per second. An echo at the end proves that the server has read them.
fn send(
    target: Target<'_>,
    mut stream: Socket,
    piece: &[u8],
    every: Option<Duration>,
    over: &AtomicBool,
) -> io::Result<f64> {
    let start = Instant::now();
    let mut sent = 0_u32;
    while !over.load(Ordering::Acquire) {
        if let Some(every) = every {
            let due = start + every.saturating_mul(sent);
            // The sleep is short, since the sender must end soon after the others.
            std::thread::sleep(due.saturating_duration_since(Instant::now()).min(10 * PACE));
            if Instant::now() < due {
                continue;
            }
        }
        stream.write_all(piece)?;
        sent += 1;
    }
    stream.write_all(&target.wire.message(Kind::Echo, 1, BODY))?;
    stream.read_exact(&mut vec![0; target.wire.answer_len(Kind::Echo, BODY)])?;
    Ok(f64::from(sent) * piece.len() as f64 / start.elapsed().as_secs_f64())
}

/// Sends one echo after the other, each at its scheduled time or when the one before it is
/// answered. After twice the measured time nothing more is sent, and the rest counts as waiting
/// until then.
fn echo_on_schedule(
    target: Target<'_>,
    stream: &mut Socket,
    start: Instant,
    lasts: Duration,
) -> io::Result<Histogram<u64>> {
    let message = target.wire.message(Kind::Echo, 1, BODY);
    let mut answer = vec![0; target.wire.answer_len(Kind::Echo, BODY)];
    let echoes = (lasts.as_secs_f64() / PACE.as_secs_f64()).ceil() as u32;
    let warm_up = echoes / 10;
    let mut latencies = histogram();
    for number in 0..echoes + warm_up {
        let due = start + PACE * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if start.elapsed() < 2 * lasts {
            stream.write_all(&message)?;
            stream.read_exact(&mut answer)?;
        }
        if number >= warm_up {
            latencies.saturating_record(due.elapsed().as_nanos() as u64);
        }
    }
    Ok(latencies)
}
