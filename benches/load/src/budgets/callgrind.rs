//! Runs of this program under valgrind.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use veltix_stage::program;

use crate::process;

/// How long one run may take: they take about a second.
const RUN: Duration = Duration::from_secs(120);

/// Instructions cannot be counted here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Uncounted {
    /// Valgrind is not installed.
    Missing,
    /// A run did not end well; what it said last.
    Failed { case: String, said: String },
}

impl fmt::Display for Uncounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "valgrind is not installed, so no instructions can be counted: install it, on \
                 Debian and Ubuntu with `apt-get install valgrind`",
            ),
            Self::Failed { case, said } => write!(f, "{case} could not be counted: {said}"),
        }
    }
}

impl std::error::Error for Uncounted {}

/// Valgrind, which is installed.
#[derive(Debug)]
pub(super) struct Callgrind {
    program: String,
    ourselves: PathBuf,
}

impl Callgrind {
    pub(super) fn find() -> Result<Self> {
        Self::find_in(std::env::var_os("PATH").unwrap_or_default().as_os_str())
    }

    fn find_in(path: &OsStr) -> Result<Self> {
        let program = program::find_in("valgrind", path).ok_or(Uncounted::Missing)?;
        Ok(Self { program, ourselves: std::env::current_exe()? })
    }

    /// The instructions of a whole run of a case.
    pub(super) fn count(&self, case: &str, messages: usize) -> Result<u64> {
        let failed = |said: String| Uncounted::Failed { case: case.to_owned(), said };
        let ourselves = self.ourselves.to_str().context("the path of this program is text")?;
        let messages = messages.to_string();
        let command = [
            self.program.as_str(),
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            ourselves,
            "path",
            case,
            &messages,
        ];
        let command = process::other(&command.map(str::to_owned), None)?;
        let (status, said) = process::last_words(command, RUN)?;
        match collected(&said) {
            Some(count) if status.success() => Ok(count),
            _ => {
                let tail: Vec<_> = said.lines().rev().take(8).collect();
                let tail: Vec<_> = tail.into_iter().rev().collect();
                Err(failed(format!("{status}\n{}", tail.join("\n"))).into())
            }
        }
    }
}

/// The count in what callgrind says at its end.
fn collected(said: &str) -> Option<u64> {
    let count = said.lines().find_map(|line| line.split_once("Collected : "))?.1;
    count.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 18124213\n==7==\n";
        assert_eq!(collected(said), Some(18_124_213));
        assert_eq!(collected("==7== Collected : \n"), None);
        assert_eq!(collected("Illegal instruction"), None);
    }

    #[test]
    fn who_has_no_valgrind_is_told_what_to_install() {
        let nowhere = program::find_in("valgrind", OsStr::new("/nowhere"));
        if nowhere.is_some() {
            // It is where every search looks.
            return;
        }
        let error = Callgrind::find_in(OsStr::new("/nowhere")).expect_err("it is not there");
        assert_eq!(error.downcast_ref(), Some(&Uncounted::Missing));
        assert!(error.to_string().contains("apt-get install valgrind"), "{error}");
    }
}
