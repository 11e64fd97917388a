//! How far a case may grow in a comparison of two builds.

use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};

/// One `--allow`: `PERCENT` for all cases, or `PATTERN=PERCENT`, where `*` in the pattern stands for
/// any text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Allowance {
    pattern: Option<String>,
    percent: f64,
}

/// Growth in percent that is allowed without any `--allow`.
const DEFAULT: f64 = 1.0;

impl FromStr for Allowance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (pattern, percent) = match text.rsplit_once('=') {
            Some((pattern, percent)) => (Some(pattern.to_owned()), percent),
            None => (None, text),
        };
        let percent: f64 = percent
            .parse()
            .with_context(|| format!("{percent:?} is no number: write 2 or typed*=3"))?;
        ensure!(percent.is_finite() && percent >= 0.0, "an allowance is at least 0 percent");
        ensure!(pattern.as_deref() != Some(""), "the pattern before `=` is empty");
        Ok(Self { pattern, percent })
    }
}

/// Returns the growth in percent that is allowed to a case: that of the last pattern that matches
/// its name, else that of the last allowance without a pattern, else 1.
pub(super) fn allowed(allowances: &[Allowance], case: &str) -> f64 {
    let last = |fits: &dyn Fn(&Allowance) -> bool| {
        allowances.iter().rev().find(|allowance| fits(allowance)).map(|found| found.percent)
    };
    let by_pattern = |allowance: &Allowance| {
        allowance.pattern.as_deref().is_some_and(|pattern| matches(pattern, case))
    };
    last(&by_pattern).or_else(|| last(&|allowance| allowance.pattern.is_none())).unwrap_or(DEFAULT)
}

/// Returns whether a name matches a pattern.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices()
                .map(|(at, _)| at)
                .chain([name.len()])
                .any(|at| matches(rest, &name[at..]))
        }),
    }
}

impl Allowance {
    /// Returns whether the pattern matches no case of a list, which is a mistake on the command line.
    pub(super) fn is_useless<'a>(&self, mut cases: impl Iterator<Item = &'a str>) -> bool {
        self.pattern.as_deref().is_some_and(|pattern| !cases.any(|case| matches(pattern, case)))
    }

    pub(super) fn pattern(&self) -> &str {
        self.pattern.as_deref().unwrap_or("*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowances(texts: &[&str]) -> Vec<Allowance> {
        texts.iter().map(|text| text.parse().expect("it is an allowance")).collect()
    }

    #[test]
    fn a_pattern_precedes_the_general_allowance_and_the_last_one_counts() {
        assert_eq!(allowed(&[], "echo"), 1.0);
        let some = allowances(&["typed*=3", "2", "typed-echo=4.5", "0.5"]);
        for (case, expected) in [("echo", 0.5), ("typed", 3.0), ("typed-echo", 4.5), ("typ", 0.5)] {
            assert_eq!(allowed(&some, case), expected, "{case}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("*", "echo", true),
            ("echo*", "echo", true),
            ("*-async", "sink-async", true),
            ("s*k*c", "sink-async", true),
            ("broadcast", "broadcast-batch", false),
            ("*echo", "echo-one", false),
            ("e*e*e", "ee", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_malformed_allowance_is_an_error_and_a_useless_one_is_found() {
        for text in ["", "x", "typed=", "=3", "-1", "nan", "typed*=inf"] {
            assert!(text.parse::<Allowance>().is_err(), "{text}");
        }
        let [typed, all] = &allowances(&["typed*=3", "3"])[..] else { panic!("there are two") };
        assert!(typed.is_useless(["echo", "sink"].into_iter()));
        assert!(!typed.is_useless(["echo", "typed"].into_iter()));
        assert!(!all.is_useless(["echo"].into_iter()));
    }
}
