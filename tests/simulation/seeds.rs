//! The seeds of a simulation: each runs on a thread of its own, many of them at the same time.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::runtime::Builder;
use tokio::time::timeout;

use super::record::{Record, Verdict};
use crate::support::PATIENCE;

/// The number of seeds of an ordinary test; `VELTIX_SEEDS` overrides it.
const SEEDS: u64 = 100;

/// Seeds that are run again.
const AGAIN: u64 = 10;

/// A simulation.
pub(super) struct Seeds {
    /// The name of the test that runs the seeds.
    pub(super) test: &'static str,
    /// The arguments for Cargo that the test needs.
    pub(super) features: &'static str,
    /// Runs a seed; with `true` it prints the whole trace.
    pub(super) run: fn(u64, bool) -> Verdict,
}

/// Returns the number in an environment variable.
fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

impl Seeds {
    /// Fails with the violation, the end of the trace, and the command that replays it.
    #[track_caller]
    fn judge(&self, seed: u64, verdict: &Verdict) {
        if verdict.wrong.is_empty() {
            return;
        }
        for line in &verdict.last {
            eprintln!("{line}");
        }
        let (wrong, Self { test, features, .. }) = (verdict.wrong.join("\n"), self);
        panic!(
            "seed {seed}:\n{wrong}\nagain: VELTIX_SEED={seed} cargo test{features} --test integration \
             {test} -- --exact --nocapture"
        );
    }

    /// Runs all seeds, or the one in the environment.
    pub(super) fn each(&self) {
        if let Some(seed) = number_of("VELTIX_SEED") {
            let verdict = (self.run)(seed, true);
            eprintln!("trace of seed {seed}: {:016x}", verdict.trace);
            return self.judge(seed, &verdict);
        }
        let seeds = number_of("VELTIX_SEEDS").unwrap_or(SEEDS);
        let next = AtomicU64::new(0);
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return;
                }
                self.judge(seed, &(self.run)(seed, false));
            }
        };
        thread::scope(|scope| {
            let workers = thread::available_parallelism().map_or(1, usize::from).min(8);
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                if let Err(panic) = worker.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
    }

    /// Checks that a seed gives the same trace each time.
    pub(super) fn twice(&self) {
        for seed in 0..AGAIN {
            // They run at the same time, because they share no state.
            let (first, second) = thread::scope(|scope| {
                let other = scope.spawn(|| (self.run)(seed, false));
                ((self.run)(seed, false), other.join().expect("it gives a verdict"))
            });
            if first.trace != second.trace {
                for (one, other) in first.last.iter().zip(&second.last) {
                    eprintln!("{one}\n        {other}");
                }
            }
            assert_eq!(first.trace, second.trace, "seed {seed}");
        }
    }

    /// Checks that a seed gives the same trace in another process.
    pub(super) fn elsewhere(&self) {
        for seed in 0..3 {
            let verdict = (self.run)(seed, false);
            let output = Command::new(std::env::current_exe().expect("it runs"))
                .args([self.test, "--exact", "--nocapture"])
                .env("VELTIX_SEED", seed.to_string())
                .output()
                .expect("the test can be run again");
            let said = String::from_utf8_lossy(&output.stderr);
            let trace = format!("trace of seed {seed}: {:016x}", verdict.trace);
            assert!(said.contains(&trace), "{trace} differs from the trace of the other process");
        }
    }
}

/// Runs a simulation on a new thread, so that per-thread state of the library, such as pooled buffers, is
/// not left over from another run. `first` runs on this thread before.
pub(super) fn on_a_thread(
    seed: u64,
    is_verbose: bool,
    first: impl FnOnce() + Send,
    simulate: impl AsyncFnOnce(&Record) + Send,
) -> Verdict {
    let here = || {
        first();
        // The seed of the library's random numbers.
        fastrand::seed(seed);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let record = Record::new(is_verbose);
            if timeout(PATIENCE, simulate(&record)).await.is_err() {
                record.wrong(format_args!("it does not end"));
            }
            record.verdict()
        })
    };
    let over = thread::scope(|scope| scope.spawn(here).join());
    over.unwrap_or_else(|_| Verdict { wrong: vec!["it panics".to_owned()], ..Verdict::default() })
}
