//! The server's memory for idle connections (W6).

use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{BODY, Target, join};
use crate::socket::Socket;
use crate::wire::{Kind, Role};

/// The time after which a server has released the memory of the last echo.
const SETTLE: Duration = Duration::from_millis(300);

/// Returns the resident bytes of each idle connection. The fixed memory of a server is part of it,
/// unless `before` connections were made first.
pub(super) fn measure(target: Target<'_>, before: usize, peers: usize) -> Result<f64> {
    let process = target
        .process
        .context("the memory of a server can be measured only if this program has started it")?;
    let _earlier = gather(target, before)?;
    let resident = process.resident()?;
    let idle = gather(target, peers)?;
    Ok((process.resident()? - resident) / idle.len() as f64)
}

/// Makes `peers` idle connections.
fn gather(target: Target<'_>, peers: usize) -> io::Result<Vec<Socket>> {
    let idle = super::gather(peers, || join_idle(target))?;
    std::thread::sleep(SETTLE);
    Ok(idle)
}

/// Makes a connection with a tag and waits for the answer to one echo.
pub(super) fn join_idle(target: Target<'_>) -> io::Result<Socket> {
    let mut stream = join(target, Role::Tagged)?;
    stream.write_all(&target.wire.message(Kind::Echo, 1, BODY))?;
    stream.read_exact(&mut vec![0; target.wire.answer_len(Kind::Echo, BODY)])?;
    Ok(stream)
}
