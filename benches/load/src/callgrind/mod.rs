//! Runs of builds of this program under callgrind.

mod profile;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use veltix_stage::program;

pub(crate) use self::profile::Profile;
use crate::process;

/// How long one run may take. Most runs take about a second.
const RUN: Duration = Duration::from_secs(120);

/// The reason why no instructions were counted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Uncounted {
    /// Valgrind is not installed.
    Missing,
    /// A run failed. `output` holds its last lines.
    Failed { case: String, output: String },
}

impl fmt::Display for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "valgrind is not installed, so no instructions can be counted: install it, on \
                 Debian and Ubuntu with `apt-get install valgrind`",
            ),
            Self::Failed { case, output } => {
                write!(f, "the run of the case {case} under callgrind failed: {output}")
            }
        }
    }
}

impl std::error::Error for Uncounted {}

/// The installed valgrind.
#[derive(Debug)]
pub(crate) struct Callgrind {
    valgrind: String,
}

impl Callgrind {
    pub(crate) fn find() -> Result<Self> {
        Self::find_in(std::env::var_os("PATH").unwrap_or_default().as_os_str())
    }

    fn find_in(path: &OsStr) -> Result<Self> {
        let valgrind = program::find_in("valgrind", path).ok_or(Uncounted::Missing)?;
        Ok(Self { valgrind })
    }

    /// Returns the instructions of a whole run of a case by `build`, a build of this program.
    pub(crate) fn count(&self, build: &Path, case: &str, messages: usize) -> Result<u64> {
        let output = self.run(build, case, messages, &["--callgrind-out-file=/dev/null"])?;
        let missing = || failed(case, &format!("callgrind printed no count\n{}", tail(&output)));
        Ok(collected(&output).ok_or_else(missing)?)
    }

    /// Returns the instructions of a whole run of a case by `build`, file by file.
    pub(crate) fn profile(&self, build: &Path, case: &str, messages: usize) -> Result<Profile> {
        let file = Scratch::new();
        let out = format!("--callgrind-out-file={}", file.0.display());
        self.run(build, case, messages, &[&out, "--compress-strings=no", "--compress-pos=no"])?;
        let text =
            std::fs::read_to_string(&file.0).with_context(|| file.0.display().to_string())?;
        Profile::parse(&text)
    }

    /// Runs a case to its end and returns what callgrind printed.
    fn run(&self, build: &Path, case: &str, messages: usize, options: &[&str]) -> Result<String> {
        let build = build.to_str().context("the path of the program is not UTF-8")?;
        let messages = messages.to_string();
        let command = [
            &[self.valgrind.as_str(), "--tool=callgrind"],
            options,
            &[build, "path", case, &messages],
        ];
        let command: Vec<_> = command.concat().into_iter().map(str::to_owned).collect();
        let (status, output) = process::last_words(process::other(&command, None)?, RUN)?;
        if status.success() {
            Ok(output)
        } else {
            Err(failed(case, &format!("{status}\n{}", tail(&output))).into())
        }
    }
}

fn failed(case: &str, output: &str) -> Uncounted {
    Uncounted::Failed { case: case.to_owned(), output: output.to_owned() }
}

/// Returns the last eight lines of a text.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Returns the count in callgrind's closing lines.
fn collected(output: &str) -> Option<u64> {
    let count = output.lines().find_map(|line| line.split_once("Collected : "))?.1;
    count.split_whitespace().next()?.parse().ok()
}

/// A file name in the directory for temporary files. The file is removed with this handle.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("veltix-load-{}-{number}.callgrind", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_callgrind_prints() {
        let output = "==7== Events    : Ir\n==7== Collected : 18124213\n==7==\n";
        assert_eq!(collected(output), Some(18_124_213));
        assert_eq!(collected("==7== Collected : \n"), None);
        assert_eq!(collected("Illegal instruction"), None);
    }

    #[test]
    fn the_tail_is_the_last_eight_lines() {
        assert_eq!(tail("1\n2\n"), "1\n2");
        assert_eq!(tail("0\n1\n2\n3\n4\n5\n6\n7\n8\n"), "1\n2\n3\n4\n5\n6\n7\n8");
    }

    #[test]
    fn without_valgrind_the_error_names_the_package() {
        let nowhere = program::find_in("valgrind", OsStr::new("/nowhere"));
        if nowhere.is_some() {
            // Valgrind is in one of the directories that every search includes.
            return;
        }
        let error = Callgrind::find_in(OsStr::new("/nowhere")).expect_err("it is not there");
        assert_eq!(error.downcast_ref(), Some(&Uncounted::Missing));
        assert!(error.to_string().contains("apt-get install valgrind"), "{error}");
    }
}
