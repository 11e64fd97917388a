//! `veltix-load budgets`: instructions of each case of the [path](crate::path), beside what they
//! may be.

mod callgrind;
mod file;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use indicatif::ProgressBar;
use veltix_stage::{machine, progress_bar};

use self::callgrind::Callgrind;
pub(crate) use self::callgrind::Uncounted;
use self::file::Budgets;
use self::table::Row;
use crate::path::{CASES, Case};
use crate::results::{Better, Report, Series, median};

/// The budgets, beside the sources of this program.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budgets.toml");

/// Cases that are counted at once. What runs beside it does not change a count.
const AT_ONCE: usize = 2;

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The cases; all of them by default.
    #[arg(value_parser = crate::cli::one_of(CASES.iter().map(|case| case.name)))]
    cases: Vec<String>,
    /// Make what is counted the budget of these cases.
    #[arg(long)]
    write: bool,
    /// How often each case is counted; the one in the middle counts.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// The file of the budgets.
    #[arg(long, default_value = FILE)]
    file: PathBuf,
    /// Where the counts go, as results for `report`.
    #[arg(long, default_value = "target/load/instructions.json")]
    json: PathBuf,
}

/// Counts, prints the table, and fails if a case has grown.
///
/// # Errors
/// [`Uncounted`], with which the program ends with 2: nothing could be counted. Any other error: a
/// case is over its budget or has none.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
pub(crate) fn budgets(options: &Options) -> Result<()> {
    ensure!(options.rounds > 0, "a case is counted once at least");
    let mut budgets = Budgets::read(&options.file)?;
    let all = options.cases.is_empty();
    let wanted = |case: &&Case| all || options.cases.iter().any(|name| name == case.name);
    let cases: Vec<_> = CASES.iter().filter(wanted).collect();
    let counts = count(&cases, options.rounds)?;
    let report = report(&cases, &counts, options.rounds);
    let dir = options.json.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    fs::write(&options.json, serde_json::to_string_pretty(&report)?)
        .with_context(|| options.json.display().to_string())?;
    let mut rows = Vec::new();
    for (case, counts) in cases.iter().zip(&counts) {
        let count = median(counts).context("each case is counted")?;
        rows.push(Row { case: case.name, budget: budgets.of(case.name), count });
    }
    print!("{}", table::render(&rows));
    if options.write {
        rows.iter().for_each(|row| budgets.set(row.case, row.count));
        budgets.write(&options.file)?;
        println!("written to {}", options.file.display());
        return Ok(());
    }
    let failures = table::failures(&rows);
    if failures.is_empty() { Ok(()) } else { bail!("over budget:\n{}", failures.join("\n")) }
}

/// What one message, or one delivery, of each case costs, in each round.
fn count(cases: &[&Case], rounds: usize) -> Result<Vec<Vec<f64>>> {
    let callgrind = Callgrind::find()?;
    let jobs: Vec<_> = (0..rounds).flat_map(|_| 0..cases.len()).collect();
    let bar = progress_bar(jobs.len());
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(vec![Vec::new(); cases.len()]);
    let work = || -> Result<()> {
        while let Some(&number) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let count = count_case(&callgrind, cases[number], &bar);
            if count.is_err() {
                next.store(jobs.len(), Ordering::Relaxed);
            }
            counts.lock().unwrap_or_else(PoisonError::into_inner)[number].push(count?);
            bar.inc(1);
        }
        Ok(())
    };
    let outcome = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("it does not panic"))
    });
    bar.finish_and_clear();
    outcome?;
    Ok(counts.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The difference of two runs, so that what a process does once is not in it.
fn count_case(callgrind: &Callgrind, case: &Case, bar: &ProgressBar) -> Result<f64> {
    bar.set_message(case.name);
    let few = callgrind.count(case.name, case.messages)?;
    let many = callgrind.count(case.name, 2 * case.messages)?;
    let difference = many.saturating_sub(few) as f64;
    let each = difference / (case.messages * case.per_message()) as f64;
    Ok((each * 10.0).round() / 10.0)
}

fn report(cases: &[&Case], counts: &[Vec<f64>], rounds: usize) -> Report {
    let series = cases.iter().zip(counts).map(|(case, counts)| Series {
        workload: "Ir".to_owned(),
        peer: case.name.to_owned(),
        unit: if case.subscribers > 0 { "instructions/delivery" } else { "instructions/message" }
            .to_owned(),
        better: Better::Lower,
        x: None,
        samples: counts.iter().copied().map(Some).collect(),
        percentiles: Vec::new(),
        note: None,
    });
    Report {
        machine: machine::describe(),
        date: machine::today(),
        rounds,
        series: series.collect(),
        missing: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::targets::targets;

    #[test]
    fn every_case_has_a_budget_and_every_budget_a_case() {
        let budgets = Budgets::read(Path::new(FILE)).expect("it is beside the sources");
        for case in CASES {
            assert!(budgets.of(case.name).is_some(), "{} has no budget", case.name);
        }
        assert_eq!(budgets.len(), CASES.len());
    }

    #[test]
    fn counts_are_what_the_targets_are_about() {
        let cases: Vec<_> = CASES.iter().collect();
        let counts = vec![vec![400.0, 402.0]; cases.len()];
        let report = report(&cases, &counts, 2);
        let targets: Vec<_> =
            targets().into_iter().filter(|target| target.workload == "Ir").collect();
        assert!(!targets.is_empty());
        for target in targets {
            let measured = target.judge(&report).measured.expect(&target.ours);
            assert_eq!((measured.low, measured.high), (400.0, 402.0));
        }
    }
}
