//! The output file of callgrind: instructions by source file.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// The self cost of each source file in a run. A function that was inlined counts in the file that
/// defines it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    files: BTreeMap<String, u64>,
}

impl Profile {
    /// Reads callgrind's output format, version 1, with one event and names with or without
    /// compression. Positions must be uncompressed (`--compress-pos=no`) and may have any number of
    /// columns.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut names = Names::default();
        let mut profile = Self::default();
        let mut columns = 1;
        let mut file = String::new();
        let mut total = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = value_of(line, &["fl=", "fi=", "fe="]) {
                file = names.resolve(name)?;
            } else if let Some(name) = value_of(line, &["cfi=", "cfl="]) {
                // The file of a called function. It matters here only because it may be the line
                // that defines a compressed name.
                names.resolve(name)?;
            } else if line.starts_with("calls=") {
                // The next line holds the cost of the called function, which counts there.
                lines.next().context("a line `calls=` is the last one")?;
            } else if let Some(list) = line.strip_prefix("positions: ") {
                columns = list.split_whitespace().count();
            } else if let Some(events) = line.strip_prefix("events: ") {
                ensure!(events.trim() == "Ir", "the only event must be Ir, not {events}");
            } else if let Some(sum) = line.strip_prefix("totals: ") {
                total = Some(sum.trim().parse::<u64>().context("the line `totals:`")?);
            } else if line.starts_with(|first: char| first.is_ascii_digit()) {
                // Costs of zero at the end of a line are left out.
                let cost = line.split_whitespace().nth(columns).unwrap_or("0");
                let cost: u64 = cost.parse().with_context(|| format!("the line {line:?}"))?;
                *profile.files.entry(file.clone()).or_default() += cost;
            }
        }
        let sum: u64 = profile.files.values().sum();
        ensure!(total == Some(sum), "the costs add up to {sum}, but the total is {total:?}");
        Ok(profile)
    }

    /// Returns the median of several runs, file by file. Of an even number, it is the upper one of the
    /// two in the middle.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let names = runs.iter().flat_map(|run| run.files.keys());
        let middle = |file: &String| {
            let costs = runs.iter().map(|run| run.files.get(file).copied().unwrap_or(0));
            let mut costs: Vec<_> = costs.collect();
            costs.sort_unstable();
            (file.clone(), costs[costs.len() / 2])
        };
        Self { files: names.map(middle).collect() }
    }

    /// Returns the files in which `self` counts more instructions than `fewer` does, with the
    /// difference.
    pub(crate) fn growth_since(&self, fewer: &Self) -> Vec<(&str, u64)> {
        let grown = self.files.iter().filter_map(|(file, cost)| {
            let before = fewer.files.get(file).copied().unwrap_or(0);
            let more = cost.checked_sub(before).filter(|more| *more > 0)?;
            Some((file.as_str(), more))
        });
        grown.collect()
    }
}

fn value_of<'a>(line: &'a str, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| line.strip_prefix(key))
}

/// Names of files. A compressed name is `(7) path` where it first occurs and `(7)` after that.
#[derive(Debug, Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn resolve(&mut self, name: &str) -> Result<String> {
        let Some((id, rest)) = name.strip_prefix('(').and_then(|name| name.split_once(')')) else {
            return Ok(name.to_owned());
        };
        let rest = rest.trim();
        if !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(name.to_owned());
        }
        if rest.is_empty() {
            return self.0.get(id).cloned().with_context(|| format!("no name has the number {id}"));
        }
        self.0.insert(id.to_owned(), rest.to_owned());
        Ok(rest.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(profile: &Profile) -> Vec<(&str, u64)> {
        profile.files.iter().map(|(file, cost)| (file.as_str(), *cost)).collect()
    }

    const PLAIN: &str = "\
# callgrind format
version: 1
positions: line
events: Ir
summary: 40

ob=/usr/bin/x
fl=/x/veltix-tokio/src/outer.rs
fn=outer
16 3
fi=/x/veltix-core/src/inlined.rs
7 4
cob=/usr/lib/libc.so
cfi=./libc.c
cfn=write
calls=2 50
8 20
9 1
fe=/x/veltix-tokio/src/outer.rs
17 2

ob=/usr/lib/libc.so
fl=./libc.c
fn=write
50 20
51 10

totals: 40
";

    #[test]
    fn inlined_lines_count_in_their_own_file_and_calls_count_in_the_called_one() {
        let profile = Profile::parse(PLAIN).expect("it is the format");
        assert_eq!(
            costs(&profile),
            [
                ("./libc.c", 30),
                ("/x/veltix-core/src/inlined.rs", 5),
                ("/x/veltix-tokio/src/outer.rs", 5),
            ]
        );
    }

    #[test]
    fn compressed_names_are_resolved() {
        let text = "positions: line\nevents: Ir\nfl=(1) /a.rs\n1 2\ncfi=(2) /b (c).rs\ncalls=1 1\n\
                    1 9\nfl=(2)\n3 4\nfl=(1)\n5 6\ntotals: 12\n";
        let profile = Profile::parse(text).expect("it is the format");
        assert_eq!(costs(&profile), [("/a.rs", 8), ("/b (c).rs", 4)]);
        assert!(Profile::parse("fl=(3)\n1 1\ntotals: 1\n").is_err());
    }

    #[test]
    fn positions_may_have_two_columns() {
        let text = "positions: instr line\nevents: Ir\nfl=/a.rs\n0x4000 7 5\ntotals: 5\n";
        assert_eq!(costs(&Profile::parse(text).expect("it is the format")), [("/a.rs", 5)]);
    }

    #[test]
    fn costs_that_do_not_add_up_are_an_error() {
        let lost = PLAIN.replace("51 10\n", "");
        assert!(Profile::parse(&lost).is_err());
        assert!(Profile::parse("").is_err(), "a file that was cut has no total");
        assert!(Profile::parse("events: Ir Dr\n").is_err());
    }

    fn profile(files: &[(&str, u64)]) -> Profile {
        let files = files.iter().map(|(file, cost)| ((*file).to_owned(), *cost));
        Profile { files: files.collect() }
    }

    #[test]
    fn the_median_of_several_runs_is_taken_file_by_file() {
        let runs = [
            profile(&[("a", 10), ("once", 7)]),
            profile(&[("a", 30), ("b", 5)]),
            profile(&[("a", 20), ("b", 6)]),
        ];
        assert_eq!(costs(&Profile::median(&runs)), [("a", 20), ("b", 5), ("once", 0)]);
    }

    #[test]
    fn growth_is_the_difference_of_two_runs() {
        let few = profile(&[("once", 9), ("twice", 10), ("less", 5)]);
        let many = profile(&[("once", 9), ("twice", 20), ("less", 4), ("new", 1)]);
        assert_eq!(many.growth_since(&few), [("new", 1), ("twice", 10)]);
    }
}
