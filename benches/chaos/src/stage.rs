//! [`Stage`]: the environment of a scenario, which also collects its checks.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep, timeout};

use crate::accounts::{Accounts, Seen};
use crate::check::Check;
use crate::server::{Report, ServerProcess, Setup};

/// The time limit for released resources to disappear.
const SETTLES: Duration = Duration::from_secs(5);

/// The reason why a scenario cannot run here.
#[derive(Debug)]
pub(crate) struct Skipped(pub(crate) String);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// The mode of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mode {
    pub(crate) seed: u64,
    /// A few seconds in place of the full times.
    pub(crate) short: bool,
    /// The length of the soak.
    pub(crate) minutes: Option<f64>,
    /// Whether the servers miscount once.
    pub(crate) lies: bool,
}

/// The environment of one scenario.
#[derive(Debug)]
pub(crate) struct Stage {
    mode: Mode,
    /// The seed of this scenario. It does not depend on the other scenarios of a run.
    seed: u64,
    pub(crate) checks: Vec<Check>,
}

/// A server's resources before the first peer has connected.
#[derive(Debug)]
pub(crate) struct Base {
    tasks: usize,
    descriptors: usize,
    /// The resident memory in MiB.
    pub(crate) resident: f64,
}

impl Stage {
    pub(crate) fn new(mode: Mode, scenario: &str) -> Self {
        // FNV-1a. Each name only needs a different result.
        let mix = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seed = scenario.bytes().fold(mode.seed ^ 0xcbf2_9ce4_8422_2325, mix);
        Self { mode, seed, checks: Vec::new() }
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the random numbers of one participant.
    pub(crate) fn rng(&self, participant: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_add(participant.wrapping_mul(0x9e37_79b9)))
    }

    /// Returns the value for a full or for a short run.
    pub(crate) fn pick<T>(&self, full: T, short: T) -> T {
        if self.mode.short { short } else { full }
    }

    /// Returns the length of the soak.
    pub(crate) fn soak(&self) -> Duration {
        let minutes = self.mode.minutes.unwrap_or_else(|| self.pick(5.0, 0.3));
        Duration::from_secs_f64(minutes * 60.0)
    }

    pub(crate) fn check(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Starts a server and measures its resources before the first peer connects.
    pub(crate) async fn serve(&self, setup: Setup) -> Result<(ServerProcess, Base)> {
        self.serve_by(Command::new(std::env::current_exe()?), setup).await
    }

    /// Starts a server by another command, which becomes this program.
    pub(crate) async fn serve_by(
        &self,
        command: Command,
        setup: Setup,
    ) -> Result<(ServerProcess, Base)> {
        let setup = Setup { lies: self.mode.lies, ..setup };
        let mut server = ServerProcess::start(command, &setup).await?;
        let tasks = server.report().await?.tasks;
        let probe = server.probe();
        let base = Base { tasks, descriptors: probe.descriptors()?, resident: probe.resident()? };
        Ok((server, base))
    }

    /// Checks that all peers have left without leaving anything behind, and that the server's
    /// records agree with their observations.
    pub(crate) async fn close(
        &mut self,
        server: &mut ServerProcess,
        base: &Base,
        seen: Vec<Seen>,
    ) -> Result<Accounts> {
        let mut accounts = Accounts::default();
        self.settle(server, base).await?;
        accounts.add_entries(server.ended().await?);
        accounts.add_seen(seen);
        self.checks.extend(accounts.checks());
        Ok(accounts)
    }

    /// Waits until no peer is left, and checks that all resources are released.
    pub(crate) async fn settle(&mut self, server: &mut ServerProcess, base: &Base) -> Result<()> {
        let probe = server.probe();
        let is_settled = |report: &Report| {
            let descriptors = probe.descriptors().unwrap_or(usize::MAX);
            report.peers == 0 && report.tasks <= base.tasks && descriptors <= base.descriptors
        };
        let report = until(server, SETTLES, is_settled).await?;
        // A server that has shut down holds less than before its first peer.
        let tasks = report.tasks.saturating_sub(base.tasks);
        let descriptors = probe.descriptors()?.saturating_sub(base.descriptors);
        let living = server.living().await?;
        let living: Vec<_> = living.iter().map(|entry| format!("{entry:?}")).collect();
        self.check(Check::none("peers still connected", report.ended as usize, &living));
        self.check(Check::equal("the server's tasks left behind", tasks, 0));
        self.check(Check::equal("the server's descriptors left behind", descriptors, 0));
        self.check(Check::none(
            "wrong sums in the server's own check",
            report.ended as usize,
            &report.broken,
        ));
        Ok(())
    }
}

/// Requests reports until one satisfies a condition, but no longer than `within`. Returns the last
/// report.
pub(crate) async fn until(
    server: &mut ServerProcess,
    within: Duration,
    mut is: impl FnMut(&Report) -> bool,
) -> Result<Report> {
    let start = Instant::now();
    loop {
        let report = server.report().await?;
        if is(&report) || start.elapsed() > within {
            return Ok(report);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits with a time limit that is exceeded only if something is broken.
pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    timeout(Duration::from_secs(60), future)
        .await
        .with_context(|| format!("{what}: not within 60 s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODE: Mode = Mode { seed: 1, short: false, minutes: None, lies: false };

    #[test]
    fn a_scenario_has_the_same_seed_with_and_without_others() {
        let seed = |mode, scenario| Stage::new(mode, scenario).seed();
        assert_eq!(seed(MODE, "resets"), seed(Mode { short: true, ..MODE }, "resets"));
        assert_ne!(seed(MODE, "resets"), seed(MODE, "cut_links"));
        assert_ne!(seed(MODE, "resets"), seed(Mode { seed: 2, ..MODE }, "resets"));
    }

    #[test]
    fn a_short_run_is_short_but_for_what_is_asked() {
        let soak = |mode| Stage::new(mode, "r48_soak").soak();
        assert_eq!(soak(MODE), Duration::from_secs(300));
        assert!(soak(Mode { short: true, ..MODE }) < Duration::from_secs(30));
        assert_eq!(soak(Mode { minutes: Some(30.0), ..MODE }), Duration::from_secs(1_800));
    }
}
