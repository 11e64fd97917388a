//! A clock that is changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::check::Check;
use crate::peer::RawPeer;
use crate::server::Setup;
use crate::stage::{Skipped, Stage, until};

/// R22: timeouts follow the monotonic clock, whatever the wall clock does.
pub(crate) async fn r22_clock_jumps(stage: &mut Stage) -> Result<()> {
    const HONEST: usize = 10;
    const SILENT: usize = 3;
    const DAY: f64 = 86_400.0;
    let library = library()
        .ok_or_else(|| Skipped("libfaketime is not installed (package faketime)".to_owned()))?;
    let clock = Clock::new()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock.file);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let setup = Setup { heartbeat: Some(Duration::from_secs(1)), ..Setup::default() };
    let (mut server, base) = stage.serve_by(command, setup).await?;
    let mut honest = JoinSet::new();
    let mut silent = Vec::new();
    for _ in 0..HONEST {
        let mut peer = RawPeer::join(server.addr()).await?;
        honest.spawn(async move {
            // This peer answers pings for longer than a silent peer is kept.
            let ended = timeout(Duration::from_secs(5), peer.listen()).await.is_ok();
            (ended, peer.leave().await)
        });
    }
    for _ in 0..SILENT {
        silent.push(RawPeer::join(server.addr()).await?);
    }
    let (start, before) = (Instant::now(), server.report().await?.clock);
    sleep(Duration::from_millis(1_500)).await;
    clock.set("+1d")?;
    sleep(Duration::from_millis(500)).await;
    let ahead = server.report().await?.clock - before;
    clock.set("-1d")?;
    let left = until(&mut server, Duration::from_secs(8), |report| report.peers <= HONEST).await?;
    let took = start.elapsed().as_secs_f64();
    let behind = before - left.clock;
    let (mut seen, mut spurious) = (Vec::new(), Vec::new());
    while let Some(ended) = honest.join_next().await {
        let (ended, one) = ended?;
        if ended {
            spurious.push(format!("#{}", one.id));
        }
        seen.push(one);
    }
    stage.check(Check::at_least("wall clock ahead", ahead, DAY, "s"));
    stage.check(Check::at_least("wall clock behind after that", behind, DAY - 60.0, "s"));
    stage.check(Check::none("answering peers that were disconnected", HONEST, &spurious));
    stage.check(Check::equal(
        "silent peers that were not disconnected",
        left.peers.saturating_sub(HONEST),
        0,
    ));
    stage.check(Check::within("time until they were", took, [2.0, 3.5], "s").timed());
    seen.extend(silent.iter().map(RawPeer::seen));
    drop(silent);
    stage.close(&mut server, &base, seen).await?;
    Ok(())
}

/// The offset of the faked clock, in a file of its own.
struct Clock {
    file: PathBuf,
}

impl Clock {
    fn new() -> Result<Self> {
        let name = format!("veltix-chaos-clock-{}", std::process::id());
        let clock = Self { file: std::env::temp_dir().join(name) };
        clock.set("+0")?;
        Ok(clock)
    }

    /// Sets the offset from the true time. The file is replaced as a whole, since it may be read at
    /// any moment.
    fn set(&self, offset: &str) -> Result<()> {
        let new = self.file.with_extension("new");
        std::fs::write(&new, offset)?;
        Ok(std::fs::rename(new, &self.file)?)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Returns the path of the library for programs with threads, if the system has it.
fn library() -> Option<PathBuf> {
    let arch = std::env::consts::ARCH;
    let places = [
        format!("/usr/lib/{arch}-linux-gnu/faketime"),
        "/usr/lib64/faketime".to_owned(),
        "/usr/lib/faketime".to_owned(),
        "/usr/local/lib/faketime".to_owned(),
    ];
    let files = places.iter().map(|place| Path::new(place).join("libfaketimeMT.so.1"));
    files.into_iter().find(|file| file.exists())
}
