//! [`Stage`]: what a scenario plays on, and where its checks are collected.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep, timeout};

use crate::accounts::{Accounts, Seen};
use crate::check::Check;
use crate::server::{Report, ServerProcess, Setup};

/// How long what is over may take to be gone.
const SETTLES: Duration = Duration::from_secs(5);

/// A scenario cannot be played here, for this reason.
#[derive(Debug)]
pub(crate) struct Skipped(pub(crate) String);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// How scenarios are played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mode {
    pub(crate) seed: u64,
    /// A few seconds instead of what the figures ask for.
    pub(crate) short: bool,
    /// How long the soak lasts.
    pub(crate) minutes: Option<f64>,
    /// The servers miscount once.
    pub(crate) lies: bool,
}

/// Where one scenario is played.
#[derive(Debug)]
pub(crate) struct Stage {
    mode: Mode,
    /// Of this scenario alone, so that it is the same without the others.
    seed: u64,
    pub(crate) checks: Vec<Check>,
}

/// A server, and what it held before anybody came.
#[derive(Debug)]
pub(crate) struct Base {
    tasks: usize,
    descriptors: usize,
    /// MiB.
    pub(crate) resident: f64,
}

impl Stage {
    pub(crate) fn new(mode: Mode, scenario: &str) -> Self {
        // FNV-1a: it only has to be another one for each name.
        let mix = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seed = scenario.bytes().fold(mode.seed ^ 0xcbf2_9ce4_8422_2325, mix);
        Self { mode, seed, checks: Vec::new() }
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Random numbers of one participant.
    pub(crate) fn rng(&self, participant: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_add(participant.wrapping_mul(0x9e37_79b9)))
    }

    /// One of two, by how long the run is to be.
    pub(crate) fn pick<T>(&self, full: T, short: T) -> T {
        if self.mode.short { short } else { full }
    }

    /// How long a soak is to be.
    pub(crate) fn soak(&self) -> Duration {
        let minutes = self.mode.minutes.unwrap_or_else(|| self.pick(5.0, 0.3));
        Duration::from_secs_f64(minutes * 60.0)
    }

    pub(crate) fn check(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Starts a server, and looks what it holds before anybody comes.
    pub(crate) async fn serve(&self, setup: Setup) -> Result<(ServerProcess, Base)> {
        self.serve_by(Command::new(std::env::current_exe()?), setup).await
    }

    /// The same by another command, which becomes this program.
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

    /// Everybody has left: nothing may be left of them, and what the server wrote down must be
    /// what they saw.
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

    /// Waits until nobody is left, and looks whether anything of them is.
    pub(crate) async fn settle(&mut self, server: &mut ServerProcess, base: &Base) -> Result<()> {
        let probe = server.probe();
        let is_settled = |report: &Report| {
            let descriptors = probe.descriptors().unwrap_or(usize::MAX);
            report.peers == 0 && report.tasks <= base.tasks && descriptors <= base.descriptors
        };
        let report = until(server, SETTLES, is_settled).await?;
        // A server that has shut down holds less than before anybody came.
        let tasks = report.tasks.saturating_sub(base.tasks);
        let descriptors = probe.descriptors()?.saturating_sub(base.descriptors);
        let living = server.living().await?;
        let living: Vec<_> = living.iter().map(|entry| format!("{entry:?}")).collect();
        self.check(Check::none("peers that are left", report.ended as usize, &living));
        self.check(Check::equal("tasks that are left of them", tasks, 0));
        self.check(Check::equal("descriptors that are left of them", descriptors, 0));
        self.check(Check::none("sums that are wrong", report.ended as usize, &report.broken));
        Ok(())
    }
}

/// Asks a server until it is as it should be, but no longer than this; gives its last report.
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

/// Waits for something that comes in time unless everything is broken.
pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    timeout(Duration::from_secs(60), future).await.with_context(|| format!("{what}: never"))
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
