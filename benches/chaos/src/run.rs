//! A run of scenarios, one after the other, each on a runtime of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tokio::runtime::Builder;
use tokio::time::timeout;
use veltix_stage::progress_bar;

use crate::check::Check;
use crate::probe::Probe;
use crate::scenario::Scenario;
use crate::stage::{Mode, Skipped, Stage};

/// The number of tries of a scenario in which only times were too long, since machines are busy.
const TRIES: u32 = 3;

/// The time limit for the peers' side to release its resources.
const SETTLES: Duration = Duration::from_secs(5);

/// The result of a scenario.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) scenario: &'static str,
    pub(crate) took: Duration,
    /// The number of tries.
    pub(crate) tries: u32,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum End {
    /// The scenario ran to its end.
    Checked(Vec<Check>),
    /// The scenario cannot run on this machine.
    Skipped(String),
    /// The scenario stopped early. These are the checks until then, and the reason.
    Failed(Vec<Check>, String),
}

impl Played {
    pub(crate) fn holds(&self) -> bool {
        match &self.end {
            End::Checked(checks) => checks.iter().all(|check| check.holds),
            End::Skipped(_) => true,
            End::Failed(..) => false,
        }
    }

    /// Whether only times were too long.
    fn was_only_slow(&self) -> bool {
        let End::Checked(checks) = &self.end else { return false };
        let failed: Vec<_> = checks.iter().filter(|check| !check.holds).collect();
        !failed.is_empty() && failed.iter().all(|check| check.timed)
    }
}

/// Runs the scenarios. Prints each failure at once, with the command that repeats it.
#[allow(clippy::print_stderr, reason = "the user reads it")]
pub(crate) fn run(scenarios: &[&'static Scenario], mode: Mode) -> Vec<Played> {
    let bar = progress_bar(scenarios.len());
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut all = Vec::new();
    for scenario in scenarios {
        bar.set_message(scenario.name);
        let played = play(scenario, mode);
        bar.inc(1);
        bar.suspend(|| eprintln!("{}", line(&played)));
        if !played.holds() {
            bar.suspend(|| eprintln!("  repeat it with: {}", replay(scenario, mode)));
        }
        all.push(played);
    }
    bar.finish_and_clear();
    all
}

/// Returns one line about a scenario that has just ended.
fn line(played: &Played) -> String {
    let seconds = played.took.as_secs_f64();
    let how = match &played.end {
        End::Skipped(why) => format!("skipped: {why}"),
        End::Failed(_, why) => format!("FAILED: {why}"),
        End::Checked(checks) => match checks.iter().find(|check| !check.holds) {
            None => format!("{} checks", checks.len()),
            Some(Check { what, measured, pass, .. }) => {
                format!("FAILED: {what}: {measured}, not {pass}")
            }
        },
    };
    format!("{:<26} {seconds:>6.1} s  {how}", played.scenario)
}

/// Returns the command that repeats a scenario exactly.
fn replay(scenario: &Scenario, mode: Mode) -> String {
    let Mode { seed, short, minutes, lies } = mode;
    let mut command = "cargo run --release -p veltix-chaos".to_owned();
    if cfg!(feature = "tls") {
        command.push_str(" --features tls");
    }
    command.push_str(&format!(" -- --only {} --seed {seed}", scenario.name));
    if short {
        command.push_str(" --short");
    }
    if let Some(minutes) = minutes {
        command.push_str(&format!(" --minutes {minutes}"));
    }
    if lies {
        command.push_str(" --lie");
    }
    command
}

/// Runs a scenario, and repeats it if only times were too long.
fn play(scenario: &'static Scenario, mode: Mode) -> Played {
    let start = Instant::now();
    let mut tries = 1;
    loop {
        let end = on_a_thread(scenario, mode);
        let played = Played { scenario: scenario.name, took: start.elapsed(), tries, end };
        if tries == TRIES || !played.was_only_slow() {
            return played;
        }
        tries += 1;
    }
}

/// Runs a scenario on a thread of its own. It may enter another network, and everything that it
/// starts ends with it.
fn on_a_thread(scenario: &'static Scenario, mode: Mode) -> End {
    let mut stage = Stage::new(mode, scenario.name);
    let thread = std::thread::Builder::new().name(scenario.name.to_owned());
    let played = thread.spawn(move || {
        let played = catch_unwind(AssertUnwindSafe(|| on_a_runtime(scenario, mode, &mut stage)));
        let played = played.unwrap_or_else(|_| Err(anyhow!("the scenario panicked")));
        (stage.checks, played)
    });
    let joined = played.map(|thread| thread.join());
    match joined {
        Ok(Ok((checks, Ok(())))) => End::Checked(checks),
        Ok(Ok((checks, Err(error)))) => match error.downcast::<Skipped>() {
            Ok(Skipped(why)) => End::Skipped(why),
            Err(error) => End::Failed(checks, format!("{error:#}")),
        },
        Ok(Err(_)) => End::Failed(Vec::new(), "the scenario panicked".to_owned()),
        Err(error) => End::Failed(Vec::new(), format!("the system refused a thread: {error}")),
    }
}

fn on_a_runtime(scenario: &Scenario, mode: Mode, stage: &mut Stage) -> Result<()> {
    let this = Probe(std::process::id());
    let build = || Builder::new_multi_thread().worker_threads(2).enable_all().build();
    // The first runtime of a process opens shared descriptors, which stay open.
    drop(build()?);
    let before = this.descriptors()?;
    let runtime = build()?;
    let longer = Duration::from_secs_f64(mode.minutes.unwrap_or(0.0) * 60.0);
    let within = scenario.within + longer;
    let tasks = runtime.block_on(async {
        let played = timeout(within, (scenario.play)(stage)).await;
        played.map_err(|_| anyhow!("it did not end within {within:?}"))??;
        // The resources of the peers must be released as well.
        let start = Instant::now();
        let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        while alive() > 0 && start.elapsed() < SETTLES {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, anyhow::Error>(alive())
    })?;
    drop(runtime);
    let start = Instant::now();
    while this.descriptors()? > before && start.elapsed() < SETTLES {
        // The threads that read the servers' output end with the servers.
        std::thread::sleep(Duration::from_millis(10));
    }
    let descriptors = this.descriptors()?.saturating_sub(before);
    stage.check(Check::equal("the peers' tasks left behind", tasks, 0));
    stage.check(Check::equal("the peers' descriptors left behind", descriptors, 0));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SCENARIOS;

    fn played(end: End) -> Played {
        Played { scenario: "resets", took: Duration::ZERO, tries: 1, end }
    }

    fn check(holds: bool) -> Check {
        Check::at_most("x", if holds { 0.0 } else { 2.0 }, 1.0, "s")
    }

    #[test]
    fn only_times_are_measured_again() {
        let slow = check(false).timed();
        assert!(played(End::Checked(vec![check(true), slow.clone()])).was_only_slow());
        assert!(!played(End::Checked(vec![check(false), slow])).was_only_slow());
        assert!(!played(End::Checked(vec![check(true)])).was_only_slow());
        assert!(!played(End::Failed(Vec::new(), String::new())).was_only_slow());
    }

    #[test]
    fn what_failed_does_not_hold() {
        assert!(played(End::Checked(vec![check(true)])).holds());
        assert!(!played(End::Checked(vec![check(true), check(false)])).holds());
        assert!(!played(End::Failed(vec![check(true)], String::new())).holds());
    }

    #[test]
    fn a_replay_says_all_that_matters() {
        let resets = SCENARIOS.iter().find(|scenario| scenario.name == "resets");
        let scenario = resets.expect("there is one");
        let mode = Mode { seed: 7, short: false, minutes: None, lies: false };
        let command = replay(scenario, mode);
        assert!(command.starts_with("cargo run --release -p veltix-chaos "), "{command}");
        assert!(command.ends_with(" -- --only resets --seed 7"), "{command}");
        let mode = Mode { short: true, minutes: Some(0.5), ..mode };
        assert_eq!(replay(scenario, mode), format!("{command} --short --minutes 0.5"));
    }
}
