//! The real server and the real client over a simulated network, on a paused clock, by seeds.
//!
//! A seed decides everything: the properties of the network, the messages of both sides and their
//! times, and the faults. Afterwards the promises are checked against the bytes on the wire. The
//! same seed gives the same run on the same machine: the order of a broadcast's peers depends on
//! the number of processors. The simulation uses no threads, and so no blocking handlers.

mod app;
mod body;
mod check;
mod faults;
mod host;
mod ledger;
mod network;
mod pipe;
mod plan;
#[cfg(veltix_planted_bugs)]
mod planted;
mod record;
mod run;
mod tap;
mod traffic;

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use self::record::Verdict;
use self::run::run;

/// The number of seeds of an ordinary test; `VELTIX_SEEDS` overrides it.
const SEEDS: u64 = 100;

/// Returns the number in an environment variable.
fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Fails with the violation, the end of the trace, and the command that replays it.
#[track_caller]
fn judge(seed: u64, verdict: &Verdict) {
    if verdict.wrong.is_empty() {
        return;
    }
    for line in &verdict.last {
        eprintln!("{line}");
    }
    let wrong = verdict.wrong.join("\n");
    panic!(
        "seed {seed}:\n{wrong}\nagain: VELTIX_SEED={seed} cargo test --test integration \
         simulation::every_seed_keeps_the_promises -- --exact --nocapture"
    );
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number_of("VELTIX_SEED") {
        let verdict = run(seed, true);
        eprintln!("trace of seed {seed}: {:016x}", verdict.trace);
        return judge(seed, &verdict);
    }
    let seeds = number_of("VELTIX_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            judge(seed, &run(seed, false));
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

/// Seeds that are run again.
const AGAIN: u64 = 10;

#[test]
fn a_seed_gives_the_same_trace_each_time() {
    for seed in 0..AGAIN {
        // They run at the same time, because they share no state.
        let (first, second) = thread::scope(|scope| {
            let other = scope.spawn(|| run(seed, false));
            (run(seed, false), other.join().expect("it gives a verdict"))
        });
        if first.trace != second.trace {
            for (one, other) in first.last.iter().zip(&second.last) {
                eprintln!("{one}\n        {other}");
            }
        }
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

#[test]
fn a_seed_gives_the_same_trace_in_another_process() {
    for seed in 0..3 {
        let verdict = run(seed, false);
        let output = Command::new(std::env::current_exe().expect("it runs"))
            .args(["simulation::every_seed_keeps_the_promises", "--exact", "--nocapture"])
            .env("VELTIX_SEED", seed.to_string())
            .output()
            .expect("the test can be run again");
        let said = String::from_utf8_lossy(&output.stderr);
        let trace = format!("trace of seed {seed}: {:016x}", verdict.trace);
        assert!(said.contains(&trace), "{trace} differs from the trace of the other process");
    }
}
