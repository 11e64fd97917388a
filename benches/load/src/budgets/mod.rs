//! `veltix-load budgets`: the instructions of each case of the [path](crate::path), beside their
//! budgets or beside those of another build.

mod allowance;
mod comparison;
mod counting;
mod file;
mod not_joined;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use veltix_stage::machine;

use self::allowance::Allowance;
use self::comparison::Compared;
use self::counting::Rounds;
use self::file::Budgets;
use self::not_joined::Added;
use self::table::Row;
use crate::args::one_of;
use crate::path::{CASES, Case};
use crate::process;
use crate::results::{Better, Report, Series, median};

/// The file of the budgets, beside the sources of this program.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budgets.toml");

/// Rounds of a comparison with another build.
const ROUNDS_AGAINST: usize = 10;

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The cases; all of them by default.
    #[arg(value_parser = one_of(CASES.iter().map(|case| case.name)))]
    cases: Vec<String>,
    /// Write the counts into the file of the budgets, as the new budgets of these cases.
    #[arg(long, conflicts_with = "against")]
    write: bool,
    /// The number of counts of each case, of which the median is used [default: 1, and 10 with
    /// `--against`].
    #[arg(long)]
    rounds: Option<usize>,
    /// Compare with another build of this program, in place of the budgets. Both builds count in
    /// turns, and the order is reversed each round. Fails if a case has grown by more than 1 %. The
    /// other build may be older: it only needs the command `path CASE MESSAGES`.
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
    /// Allow this growth in percent: for all cases (`2`), or for those of a pattern (`typed*=3`),
    /// which has precedence. May be given several times.
    #[arg(long, value_name = "[PATTERN=]PERCENT", requires = "against")]
    allow: Vec<Allowance>,
    /// This build has the feature `cluster`, and the other one has not: fails if a case needs more
    /// instructions above the other build than the table `not-joined` of the budgets allows.
    #[arg(long, requires = "against", conflicts_with = "allow")]
    not_joined: bool,
    /// The file of the budgets.
    #[arg(long, default_value = FILE)]
    file: PathBuf,
    /// The file for the counts, as results for `report`.
    #[arg(long, default_value = "target/load/instructions.json")]
    json: PathBuf,
}

/// Counts, prints the table, and fails if a case has grown.
///
/// # Errors
/// [`Uncounted`](crate::callgrind::Uncounted), with which the program ends with 2: nothing could be
/// counted. Any other error: a case is over its budget or has none, or has grown since the other
/// build.
pub(crate) fn budgets(options: &Options) -> Result<()> {
    ensure!(options.rounds != Some(0), "`--rounds 0` counts nothing: give at least 1");
    let all = options.cases.is_empty();
    let wanted = |case: &&Case| all || options.cases.iter().any(|name| name == case.name);
    let cases: Vec<_> = CASES.iter().filter(wanted).collect();
    match &options.against {
        None => judge_budgets(options, &cases),
        Some(other) if options.not_joined => compare_clusters(options, &cases, other),
        Some(other) => compare(options, &cases, other),
    }
}

#[allow(clippy::print_stdout, reason = "the table is the output of the command")]
fn judge_budgets(options: &Options, cases: &[&Case]) -> Result<()> {
    let mut budgets = Budgets::read(&options.file)?;
    let rounds = options.rounds.unwrap_or(1);
    let ourselves = std::env::current_exe()?;
    let counts = counting::count([&ourselves], cases, rounds)?;
    let counts: Vec<_> = counts.into_iter().map(|[counts]| counts).collect();
    write_json(&report(cases, &counts, rounds), &options.json)?;
    let mut rows = Vec::new();
    for (case, counts) in cases.iter().zip(&counts) {
        let count = median(counts).context("each case is counted")?;
        rows.push(Row { case: case.name, budget: budgets.of(case.name), count });
    }
    print!("{}", table::render(&rows));
    if options.write {
        rows.iter().for_each(|row| budgets.set(row.case, row.count));
        budgets.write(&options.file)?;
        println!("the budgets were written to {}", options.file.display());
        return Ok(());
    }
    let failures = table::failures(&rows);
    if failures.is_empty() { Ok(()) } else { bail!("over budget:\n{}", failures.join("\n")) }
}

/// Compares with another build. A case that the other build does not know is named and left out.
#[allow(clippy::print_stdout, reason = "the table is the output of the command")]
fn compare(options: &Options, cases: &[&Case], other: &Path) -> Result<()> {
    for allowance in &options.allow {
        let names = cases.iter().map(|case| case.name);
        ensure!(
            !allowance.is_useless(names),
            "no case matches the pattern {} of `--allow`",
            allowance.pattern()
        );
    }
    let (known, new): (Vec<&Case>, Vec<_>) = split(cases, |case| knows(other, case.name))?;
    ensure!(!known.is_empty(), "{} knows none of these cases", other.display());
    let rounds = options.rounds.unwrap_or(ROUNDS_AGAINST);
    let ourselves = std::env::current_exe()?;
    let counts = counting::count([other, &ourselves], &known, rounds)?;
    let after: Vec<_> = counts.iter().map(|[_, after]| after.clone()).collect();
    write_json(&report(&known, &after, rounds), &options.json)?;
    let row = |(case, [before, after]): (&&Case, [Rounds; 2])| Compared {
        case: case.name,
        before,
        after,
    };
    let rows: Vec<_> = known.iter().zip(counts).map(row).collect();
    print!("{}", comparison::render(&rows, &options.allow));
    for case in new {
        println!("{:<16} not in the other build, so it was not compared", case.name);
    }
    let failures = comparison::failures(&rows, &options.allow);
    if failures.is_empty() { Ok(()) } else { bail!("grown too far:\n{}", failures.join("\n")) }
}

/// Compares this build, which has clusters, with one that has none, in the cases that have an allowance.
#[allow(clippy::print_stdout, reason = "the table is the output of the command")]
fn compare_clusters(options: &Options, cases: &[&Case], plain: &Path) -> Result<()> {
    ensure!(cfg!(feature = "cluster"), crate::cluster::NOT_BUILT);
    let budgets = Budgets::read(&options.file)?;
    let (mut compared, mut allowances) = (Vec::new(), Vec::new());
    for case in cases {
        if let Some(allowed) = budgets.not_joined(case.name) {
            compared.push(*case);
            allowances.push(allowed);
        }
    }
    ensure!(!compared.is_empty(), "none of these cases is in the table `not-joined`");
    let rounds = options.rounds.unwrap_or(ROUNDS_AGAINST);
    let ourselves = std::env::current_exe()?;
    let counts = counting::count([plain, &ourselves], &compared, rounds)?;
    let rows: Vec<_> = compared
        .iter()
        .zip(allowances)
        .zip(counts)
        .map(|((case, allowed), [plain, with])| Added { case: case.name, allowed, plain, with })
        .collect();
    print!("{}", not_joined::render(&rows));
    let failures = not_joined::failures(&rows);
    if failures.is_empty() {
        Ok(())
    } else {
        bail!("clusters cost too much:\n{}", failures.join("\n"))
    }
}

/// Splits cases into those that another build knows and the rest.
fn split<'a>(
    cases: &[&'a Case],
    knows: impl Fn(&Case) -> Result<bool>,
) -> Result<(Vec<&'a Case>, Vec<&'a Case>)> {
    let (mut known, mut new) = (Vec::new(), Vec::new());
    for case in cases {
        if knows(case)? { known.push(*case) } else { new.push(*case) }
    }
    Ok((known, new))
}

/// Returns whether another build of this program can run a case.
fn knows(other: &Path, case: &str) -> Result<bool> {
    let mut command = Command::new(other);
    command.args(["path", case, "1"]);
    let (status, _) = process::last_words(command, std::time::Duration::from_secs(10))
        .with_context(|| format!("{} cannot be run", other.display()))?;
    Ok(status.success())
}

fn write_json(report: &Report, file: &Path) -> Result<()> {
    let dir = file.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    fs::write(file, serde_json::to_string_pretty(report)?)
        .with_context(|| file.display().to_string())
}

fn report(cases: &[&Case], counts: &[Rounds], rounds: usize) -> Report {
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
        let allowed = |case: &Case| budgets.not_joined(case.name);
        assert_eq!(CASES.iter().filter_map(allowed).count(), budgets.not_joined_len());
        assert_eq!(budgets.not_joined("sink"), Some(0.0), "a received message pays nothing");
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
