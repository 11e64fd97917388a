//! `veltix-load path-files`: the source files that one message of a case passes through.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::args::one_of;
use crate::callgrind::{Callgrind, Profile};
use crate::path::{CASES, Case};

/// Instructions of a message from which a file is listed: one in ten messages. A file below it takes
/// part in single messages only, for example when a buffer grows.
const LEAST: f64 = 0.1;

/// Runs of each length. The start of a single run may cost more than usual.
const RUNS: usize = 3;

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The case.
    #[arg(value_parser = one_of(CASES.iter().map(|case| case.name)))]
    case: String,
    /// Look at another build of this program, for example at one of an earlier commit. It must have
    /// line tables, as the profile `measure` gives them.
    #[arg(long, value_name = "PROGRAM")]
    of: Option<PathBuf>,
}

/// Prints the files of the crates `veltix-*` with executed lines for each message, and their number.
///
/// # Errors
/// [`Uncounted`](crate::callgrind::Uncounted): nothing could be counted.
#[allow(clippy::print_stdout, reason = "the list is the output of the command")]
pub(crate) fn path_files(options: &Options) -> Result<()> {
    let case = Case::find(&options.case).context("the command line admits only known cases")?;
    let callgrind = Callgrind::find()?;
    let build = match &options.of {
        Some(build) => build.clone(),
        None => std::env::current_exe()?,
    };
    let profile = |messages| -> Result<Profile> {
        let runs = (0..RUNS).map(|_| callgrind.profile(&build, case.name, messages));
        Ok(Profile::median(&runs.collect::<Result<Vec<_>>>()?))
    };
    let (short, long) = case.runs();
    print!("{}", render(case.name, &listed(&profile(short)?, &profile(long)?, long - short)));
    Ok(())
}

/// Returns the files of the project whose cost grows with the messages, and the instructions of one
/// message in each, most instructions first. `many` is a run with `messages` messages more than `few`.
fn listed(few: &Profile, many: &Profile, messages: usize) -> Vec<(String, f64)> {
    let mut files: BTreeMap<&str, u64> = BTreeMap::new();
    for (file, more) in many.growth_since(few) {
        if let Some(file) = of_the_project(file) {
            *files.entry(file).or_default() += more;
        }
    }
    let each =
        files.into_iter().map(|(file, more)| (file.to_owned(), more as f64 / messages as f64));
    let mut listed: Vec<_> = each.filter(|(_, each)| *each >= LEAST).collect();
    listed.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    listed
}

/// Returns the path of a file inside the workspace, from its crate on; `None` for a file of no crate
/// `veltix-*`. The line tables have absolute paths, and a directory above the workspace may be called
/// `veltix-something` too, so a crate is a directory of such a name with `src` directly in it.
fn of_the_project(file: &str) -> Option<&str> {
    let starts = file.match_indices("veltix-").map(|(start, _)| start);
    let mut crates = starts.filter(|start| *start == 0 || file[..*start].ends_with('/'));
    let start = crates.find(|start| {
        file[*start..].split_once('/').is_some_and(|(_, rest)| rest.starts_with("src/"))
    })?;
    Some(&file[start..])
}

fn render(case: &str, files: &[(String, f64)]) -> String {
    let mut text = format!("instructions per message in each file, case {case}\n");
    for (file, each) in files {
        text.push_str(&format!("{each:>9.2}  {file}\n"));
    }
    text.push_str(&format!("{} files\n", files.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_project_are_told_from_others() {
        for (file, expected) in [
            ("/tmp/base/veltix-tokio/src/outbox/push.rs", Some("veltix-tokio/src/outbox/push.rs")),
            ("veltix-core/src/frame.rs", Some("veltix-core/src/frame.rs")),
            ("/home/x/veltix-clone/veltix-core/src/frame.rs", Some("veltix-core/src/frame.rs")),
            ("/home/x/veltix-clone/benches/load/src/path/mod.rs", None),
            ("/home/x/not-veltix-core/src/frame.rs", None),
            ("/rustc/hash/library/core/src/ptr/mod.rs", None),
            ("???", None),
        ] {
            assert_eq!(of_the_project(file), expected, "{file}");
        }
    }

    #[test]
    fn a_file_is_listed_from_one_instruction_in_ten_messages_on() {
        let profile = |costs: [u64; 4]| {
            let [often, rarely, too_rarely, other] = costs;
            let total: u64 = costs.iter().sum();
            Profile::parse(&format!(
                "events: Ir\nfl=/x/veltix-tokio/src/often.rs\n1 {often}\n\
                 fl=/x/veltix-core/src/rarely.rs\n1 {rarely}\n\
                 fl=/x/veltix-core/src/too_rarely.rs\n1 {too_rarely}\n\
                 fl=/lib/other.rs\n1 {other}\ntotals: {total}\n"
            ))
            .expect("it is the format")
        };
        let files = listed(&profile([100, 1, 50, 7]), &profile([350, 11, 59, 900]), 100);
        assert_eq!(
            files,
            [
                ("veltix-tokio/src/often.rs".to_owned(), 2.5),
                ("veltix-core/src/rarely.rs".to_owned(), 0.1)
            ]
        );
        let text = render("echo", &files);
        assert!(text.ends_with("     0.10  veltix-core/src/rarely.rs\n2 files\n"), "{text}");
    }
}
