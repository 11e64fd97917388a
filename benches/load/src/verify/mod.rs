//! The check before a measurement that a server does the work.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::generator::{Target, join};
use crate::socket::Socket;
use crate::wire::{Kind, Role, Wire};
use crate::workload::WorkloadKind;

const BODY: usize = 64;

/// The silence after which all answers have arrived.
const QUIET: Duration = Duration::from_millis(200);

/// Checks the behaviour of a server that the workloads in `can` need.
///
/// # Errors
/// The server did something wrong. The error describes it.
pub(crate) fn verify(target: Target<'_>, can: &[WorkloadKind]) -> Result<()> {
    let can = |wanted: fn(&WorkloadKind) -> bool| can.iter().any(wanted);
    if can(|kind| matches!(kind, WorkloadKind::RoundTrip { .. } | WorkloadKind::Echo)) {
        echoes(target).context("echo")?;
    }
    if can(|kind| matches!(kind, WorkloadKind::Ingest | WorkloadKind::Large)) {
        sinks(target).context("messages without an answer")?;
    }
    if can(|kind| matches!(kind, WorkloadKind::Large)) {
        takes_large(target).context("a message of 1 MiB")?;
    }
    if can(|kind| matches!(kind, WorkloadKind::Fanout { .. })) {
        reaches(target, Kind::Publish).context("broadcast")?;
    }
    if can(|kind| matches!(kind, WorkloadKind::Tag)) {
        reaches(target, Kind::PublishTag).context("broadcast to a tag")?;
    }
    Ok(())
}

/// Checks that each echo comes back once with its own body, in any order.
fn echoes(target: Target<'_>) -> Result<()> {
    let mut stream = join(target, Role::Quiet)?;
    send(&mut stream, target.wire, Kind::Echo, 0..100)?;
    expect(&mut stream, target.wire, Kind::Echo, 0..100)?;
    expect_nothing(&mut stream)
}

/// Checks that messages without an answer have none, and that the connection goes on.
fn sinks(target: Target<'_>) -> Result<()> {
    let mut stream = join(target, Role::Quiet)?;
    send(&mut stream, target.wire, Kind::Sink, 0..100)?;
    send(&mut stream, target.wire, Kind::Echo, 100..101)?;
    let mut answer = vec![0; target.wire.answer_len(Kind::Echo, BODY)];
    stream.read_exact(&mut answer).context("an echo behind them got no answer")?;
    expect_nothing(&mut stream)
}

/// Checks that a large body comes back equal.
fn takes_large(target: Target<'_>) -> Result<()> {
    const LARGE: usize = 1 << 20;
    let mut stream = join(target, Role::Quiet)?;
    stream.write_all(&target.wire.message(Kind::Echo, 1, LARGE))?;
    let mut answer = vec![0; target.wire.answer_len(Kind::Echo, LARGE)];
    stream.read_exact(&mut answer).context("its echo is missing")?;
    let body = target.wire.answer_body(Kind::Echo, &answer);
    ensure!(body == target.wire.body(1, LARGE), "received a body that was not sent");
    expect_nothing(&mut stream)
}

/// Checks that each receiver of a publish gets it once and in order, and that the publisher and,
/// with a tag, the peers without it get nothing.
fn reaches(target: Target<'_>, kind: Kind) -> Result<()> {
    let readers = if kind == Kind::PublishTag { Role::Tagged } else { Role::Subscriber };
    let mut readers = [join(target, readers)?, join(target, readers)?, join(target, readers)?];
    let mut others = Vec::new();
    if kind == Kind::PublishTag {
        others.push(join(target, Role::Subscriber)?);
    }
    others.push(join(target, Role::Quiet)?);
    let publisher = others.last_mut().context("the publisher is the last one")?;
    send(publisher, target.wire, kind, 0..50)?;
    for reader in &mut readers {
        expect(reader, target.wire, kind, 0..50)?;
        expect_nothing(reader)?;
    }
    let publisher = others.last_mut().context("the publisher is the last one")?;
    let receipts = target.wire.receipt(readers.len()).repeat(50);
    let mut received = vec![0; receipts.len()];
    publisher.read_exact(&mut received).context("the publisher got too few receipts")?;
    ensure!(received == receipts, "the publisher got another receipt than expected");
    for other in &mut others {
        expect_nothing(other).context("a peer that must not receive it received something")?;
    }
    Ok(())
}

type Numbers = std::ops::Range<u64>;

fn send(stream: &mut Socket, wire: &dyn Wire, kind: Kind, numbers: Numbers) -> Result<()> {
    let bytes: Vec<_> = numbers.flat_map(|seq| wire.message(kind, seq, BODY)).collect();
    Ok(stream.write_all(&bytes)?)
}

/// Reads an answer for each number. Answers to echoes may overtake each other.
fn expect(stream: &mut Socket, wire: &dyn Wire, kind: Kind, numbers: Numbers) -> Result<()> {
    let mut wanted: Vec<_> = numbers.map(|seq| wire.body(seq, BODY)).collect();
    let mut answer = vec![0; wire.answer_len(kind, BODY)];
    while !wanted.is_empty() {
        stream
            .read_exact(&mut answer)
            .with_context(|| format!("{} answers are missing", wanted.len()))?;
        let body = wire.answer_body(kind, &answer);
        match wanted.iter().position(|wanted| wanted == body) {
            Some(at) if kind == Kind::Echo || at == 0 => drop(wanted.remove(at)),
            Some(_) => bail!("the deliveries are not in order"),
            None => bail!("received a body that was not sent, or one body twice"),
        }
    }
    Ok(())
}

fn expect_nothing(stream: &mut Socket) -> Result<()> {
    let before = stream.tcp().read_timeout()?;
    stream.tcp().set_read_timeout(Some(QUIET))?;
    let read = stream.read(&mut [0; 64]);
    stream.tcp().set_read_timeout(before)?;
    match read {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.into()),
        Ok(0) => bail!("the server closed the connection"),
        Ok(_) => bail!("the server sent more than was requested"),
    }
}

#[cfg(test)]
mod tests;
