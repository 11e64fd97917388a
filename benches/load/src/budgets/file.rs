//! The file of the budgets.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::path::CASES;

/// The head of the file.
const HEAD: &str = "\
# Instructions of one message, or of one delivery if a case has subscribers, as counted by `cargo run
# --profile measure -p veltix-load -- budgets`. The command fails if a case is more than 10 % above
# its budget. `budgets --write` writes this file. A change that raises a budget states the reason.

";

/// The head of the second table.
const NOT_JOINED: &str = "\n\
# Instructions that a server with the feature `cluster`, which has joined none, may need above those of
# a server without the feature: none for a received message, and four for a call of a broadcast, which
# asks whether there is a cluster. `budgets --against PLAIN --not-joined` compares two builds.
[not-joined]
";

/// The budget of each case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budgets {
    instructions: BTreeMap<String, f64>,
    /// The instructions that a build with clusters may need above those of a build without.
    #[serde(default, rename = "not-joined")]
    not_joined: BTreeMap<String, f64>,
}

impl Budgets {
    /// Reads the budgets. A missing file holds no budgets.
    pub(super) fn read(file: &Path) -> Result<Self> {
        match fs::read_to_string(file) {
            Ok(text) => toml::from_str(&text).with_context(|| file.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        fs::write(file, self.to_toml()).with_context(|| file.display().to_string())
    }

    /// Returns the text of the file, with the cases in their order. The budget of a case that no
    /// longer exists is left out.
    fn to_toml(&self) -> String {
        let mut text = format!("{HEAD}[instructions]\n");
        for case in CASES {
            if let Some(budget) = self.of(case.name) {
                text.push_str(&format!("{} = {budget:.1}\n", case.name));
            }
        }
        text.push_str(NOT_JOINED);
        for case in CASES {
            if let Some(budget) = self.not_joined(case.name) {
                text.push_str(&format!("{} = {budget:.1}\n", case.name));
            }
        }
        text
    }

    pub(super) fn of(&self, case: &str) -> Option<f64> {
        self.instructions.get(case).copied()
    }

    /// Returns the instructions that a build with clusters may need above those of a build without, or
    /// `None` if the two are not compared in this case.
    pub(super) fn not_joined(&self, case: &str) -> Option<f64> {
        self.not_joined.get(case).copied()
    }

    pub(super) fn set(&mut self, case: &str, instructions: f64) {
        self.instructions.insert(case.to_owned(), instructions);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.instructions.len()
    }

    #[cfg(test)]
    pub(super) fn not_joined_len(&self) -> usize {
        self.not_joined.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut budgets = Budgets::default();
        for (number, case) in CASES.iter().enumerate() {
            budgets.set(case.name, 100.1 * (number + 1) as f64);
        }
        budgets.set("sink", 163.0);
        budgets.not_joined.insert("sink".to_owned(), 2.5);
        let text = budgets.to_toml();
        let read: Budgets = toml::from_str(&text).expect("it is TOML");
        for case in CASES {
            let (read, written) = (read.of(case.name), budgets.of(case.name));
            let difference = read.expect(case.name) - written.expect(case.name);
            assert!(difference.abs() < 0.05, "{}: {difference}", case.name);
        }
        assert!(text.starts_with("# Instructions of one message"), "the head is kept");
        assert_eq!(read.of("sink"), Some(163.0));
        assert_eq!((read.not_joined("sink"), read.not_joined("raw")), (Some(2.5), None));
    }

    #[test]
    fn a_case_that_is_gone_has_no_budget_and_a_word_too_much_is_an_error() {
        let mut budgets = Budgets::default();
        budgets.set("gone", 1.0);
        assert!(!budgets.to_toml().contains("gone"));
        assert!(toml::from_str::<Budgets>("[instructions]\n[other]\n").is_err());
        let absent = Budgets::read(Path::new("/nowhere/budgets.toml")).expect("no budgets");
        assert_eq!(absent, Budgets::default());
    }
}
