//! Counting cases, two at a time.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use veltix_stage::progress_bar;

use crate::callgrind::Callgrind;
use crate::path::Case;
use crate::turns::order;

/// Cases that are counted at the same time. Other processes do not change a count.
const AT_ONCE: usize = 2;

/// The instructions of one message, or of one delivery, in each round.
pub(super) type Rounds = Vec<f64>;

/// Counts each case by each build of this program, one build directly after the other and in reversed
/// order each round. Returns the counts by case and build.
pub(super) fn count<const BUILDS: usize>(
    builds: [&Path; BUILDS],
    cases: &[&Case],
    rounds: usize,
) -> Result<Vec<[Rounds; BUILDS]>> {
    let callgrind = Callgrind::find()?;
    let jobs: Vec<_> =
        (0..rounds).flat_map(|round| (0..cases.len()).map(move |case| (round, case))).collect();
    let bar = progress_bar(jobs.len() * BUILDS);
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(vec![[(); BUILDS].map(|()| vec![f64::NAN; rounds]); cases.len()]);
    let work = || -> Result<()> {
        while let Some(&(round, case)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            for build in order(round, BUILDS) {
                bar.set_message(cases[case].name);
                let count = count_case(&callgrind, builds[build], cases[case]);
                if count.is_err() {
                    next.store(jobs.len(), Ordering::Relaxed);
                }
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                counts[case][build][round] = count?;
                bar.inc(1);
            }
        }
        Ok(())
    };
    let outcome = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker panicked"))
    });
    bar.finish_and_clear();
    outcome?;
    Ok(counts.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Returns the difference of two runs, so that the fixed cost of a process is not in it.
fn count_case(callgrind: &Callgrind, build: &Path, case: &Case) -> Result<f64> {
    let (short, long) = case.runs();
    let few = callgrind.count(build, case.name, short)?;
    let many = callgrind.count(build, case.name, long)?;
    let difference = many.saturating_sub(few) as f64;
    let each = difference / ((long - short) * case.per_message()) as f64;
    Ok((each * 10.0).round() / 10.0)
}
