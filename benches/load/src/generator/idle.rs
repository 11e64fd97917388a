//! W6: the memory that a server needs for connections that do nothing.

use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{BODY, Target, join};
use crate::socket::Socket;
use crate::wire::{Kind, Role};

/// What a server may take to put away what it needed for the last echo.
const SETTLE: Duration = Duration::from_millis(300);

/// Bytes resident for each connection, which has a tag and has been answered once. What the server
/// needs but once counts with them unless there were some connections before.
pub(super) fn measure(target: Target<'_>, before: usize, peers: usize) -> Result<f64> {
    let process = target.process.context("only a server that was started here can be measured")?;
    let _earlier = gather(target, before)?;
    let resident = process.resident()?;
    let idle = gather(target, peers)?;
    Ok((process.resident()? - resident) / idle.len() as f64)
}

/// So many idle connections.
fn gather(target: Target<'_>, peers: usize) -> io::Result<Vec<Socket>> {
    let idle = super::gather(peers, || join_idle(target))?;
    std::thread::sleep(SETTLE);
    Ok(idle)
}

/// A connection with a tag that has been answered once.
pub(super) fn join_idle(target: Target<'_>) -> io::Result<Socket> {
    let mut stream = join(target, Role::Tagged)?;
    stream.write_all(&target.wire.message(Kind::Echo, 1, BODY))?;
    stream.read_exact(&mut vec![0; target.wire.answer_len(Kind::Echo, BODY)])?;
    Ok(stream)
}
