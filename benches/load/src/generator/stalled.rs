//! A broadcast with one reader that never reads (stalled).

use std::io::{self, Read};
use std::time::Duration;

use anyhow::Result;

use super::audience::Audience;
use super::{Measured, Span, Target, join};
use crate::socket::Socket;
use crate::wire::{Kind, Role};

/// The bytes of a body. It is large, so that buffers fill soon.
const BODY: usize = 4 * 1024;

/// The bytes that are published before the measurement. The system buffers up to 4 MiB for a
/// socket, and queues of a server a few times that.
const FILL: usize = 32 * 1024 * 1024;

/// The silence after which the stalled peer has stopped the others.
const STOPPED: Duration = Duration::from_secs(2);

/// Returns the deliveries per second to the others with one publish in flight, and describes the
/// fate of the stalled peer.
pub(super) fn measure(target: Target<'_>, peers: usize, lasts: Duration) -> Result<Measured> {
    let stalled = join(target, Role::Subscriber)?;
    socket2::SockRef::from(stalled.tcp()).set_recv_buffer_size(64 * 1024)?;
    let mut audience = Audience::gather(target, Kind::Publish, peers - 1, BODY)?;
    // The time limit is for servers that need minutes to fill any buffer.
    let fill = Span::begin(10 * lasts.max(Duration::from_secs(1)));
    let mut publishes = (FILL / BODY) as u64;
    while publishes > 0 && !fill.is_over(audience.published()) {
        if !one(&mut audience)? {
            return Ok(stopped());
        }
        publishes -= 1;
    }
    let span = Span::begin(lasts);
    let before = audience.published();
    while !span.is_over(audience.published()) {
        if !one(&mut audience)? {
            return Ok(stopped());
        }
    }
    let deliveries = (audience.published() - before) * (peers - 1) as u64;
    let value = span.rate(deliveries);
    let sent = audience.published() * target.wire.answer_len(Kind::Publish, BODY) as u64;
    Ok(Measured { value, latencies: None, note: Some(outcome(stalled, sent)) })
}

/// Publishes once and waits for the last delivery. Returns whether it came.
fn one(audience: &mut Audience) -> io::Result<bool> {
    audience.publish(1)?;
    while audience.in_flight() > 0 {
        if audience.turn_within(STOPPED)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn stopped() -> Measured {
    let note = Some("one peer that does not read stops the others".to_owned());
    Measured { value: 0.0, latencies: None, note }
}

/// Reads the bytes that wait for the stalled peer and describes the server's policy.
fn outcome(mut stalled: Socket, sent: u64) -> String {
    let mut scratch = vec![0; 256 * 1024];
    let mut received = 0;
    let _ = stalled.tcp().set_read_timeout(Some(Duration::from_millis(500)));
    while received < sent {
        match stalled.read(&mut scratch) {
            Ok(0) => return "disconnects the peer that does not read".to_owned(),
            Ok(read) => received += read as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return "drops messages for the peer that does not read".to_owned();
            }
            Err(_) => return "disconnects the peer that does not read".to_owned(),
        }
    }
    format!("keeps {} MiB for the peer that does not read", sent >> 20)
}
