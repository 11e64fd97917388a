//! The path of a message through a server, without sockets, for counting its instructions.
//!
//! Streams in memory give frames to the server and drop the bytes that it writes. All of it runs on
//! one thread, so that `valgrind --tool=callgrind` counts nearly the same in each run. The
//! difference of two runs, divided by the difference of their messages, is the cost of one message;
//! see [`budgets`](crate::budgets).

mod cases;
mod stream;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio::io::ReadBuf;
use veltix::{Hub, Server, ServerConfig};

pub(crate) use self::cases::{CASES, Case};
use self::stream::{Connections, Frames, Gate};
use crate::server::Batch;

/// Sends `messages` messages through a case and checks that every receiver got the expected bytes.
///
/// # Errors
/// There is no case of this name, or the server did not do the work.
pub(crate) fn run(name: &str, messages: usize) -> Result<()> {
    let case = Case::find(name).with_context(|| format!("there is no case {name}"))?;
    let frame = case.frame();
    let per_read = case.per_read.map_or(usize::MAX, |count| count * frame.len());
    let frames = Frames::new(&frame, messages, per_read);
    let copies = if case.answers { 1 } else { case.subscribers };
    let (taken, due) = if case.is_raw() {
        (parse(frames)?, frame.len() * messages)
    } else {
        (serve(case, frames)?, frame.len() * messages * copies)
    };
    ensure!(taken == due as u64, "{taken} bytes came out of the case in place of {due}");
    Ok(())
}

/// Lets a server process the frames. Returns the number of bytes that it wrote.
fn serve(case: &Case, frames: Frames) -> Result<u64> {
    let gate = Arc::new(Gate::new(case.subscribers + 1));
    let router = case.router().on_disconnect(|hub: Hub| drop(hub.shutdown()));
    let listener = Connections::new(Arc::clone(&gate), case.subscribers, frames);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let server = Server::with_listener(listener, ServerConfig::default(), router)?;
        gate.watch(server.hub());
        server.run().await
    })?;
    Ok(gate.written())
}

/// Finds and checks the frames as the limit does, with a buffer of the same size. Returns the
/// number of bytes.
fn parse(mut frames: Frames) -> Result<u64> {
    let mut scratch = vec![0; 64 * 1024];
    let mut batch = Batch::default();
    let (mut kept, mut taken) = (0, 0);
    loop {
        let mut buffer = ReadBuf::new(&mut scratch);
        buffer.set_filled(kept);
        frames.read(&mut buffer);
        let filled = buffer.filled().len();
        if filled == kept {
            return Ok(taken);
        }
        batch.clear();
        let used = batch.take(&scratch[..filled]).ok().context("a frame is malformed")?;
        scratch.copy_within(used..filled, 0);
        kept = filled - used;
        taken += used as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_its_work() {
        for case in CASES {
            for messages in [1, 1_000] {
                run(case.name, messages).expect(case.name);
            }
        }
        assert!(run("nothing", 1).is_err());
    }
}
