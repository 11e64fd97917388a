//! [`Check`]: a measured value beside the condition for a pass.

use std::fmt::Display;

/// One property that a scenario has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) measured: String,
    /// The condition for a pass.
    pub(crate) pass: String,
    pub(crate) holds: bool,
    /// Whether the value is a time or a ratio of times. A busy machine may be the reason of a
    /// failure, so it may be measured again.
    pub(crate) timed: bool,
}

impl Check {
    fn new(what: impl Into<String>, measured: String, pass: String, holds: bool) -> Self {
        Self { what: what.into(), measured, pass, holds, timed: false }
    }

    /// Checks that a quantity is not larger than a limit.
    pub(crate) fn at_most(what: &str, measured: f64, most: f64, unit: &str) -> Self {
        let (shown, pass) = (figure(measured, unit), format!("≤ {}", figure(most, unit)));
        Self::new(what, shown, pass, measured <= most)
    }

    /// Checks that a quantity is between two limits.
    pub(crate) fn within(what: &str, measured: f64, [least, most]: [f64; 2], unit: &str) -> Self {
        let pass = format!("{} to {}", figure(least, ""), figure(most, unit));
        Self::new(what, figure(measured, unit), pass, (least..=most).contains(&measured))
    }

    /// Checks that a quantity is not smaller than a limit.
    pub(crate) fn at_least(what: &str, measured: f64, least: f64, unit: &str) -> Self {
        let (shown, pass) = (figure(measured, unit), format!("≥ {}", figure(least, unit)));
        Self::new(what, shown, pass, measured >= least)
    }

    /// Checks that two values are equal.
    pub(crate) fn equal<T: Display + PartialEq>(what: &str, measured: T, wanted: T) -> Self {
        let holds = measured == wanted;
        Self::new(what, measured.to_string(), format!("= {wanted}"), holds)
    }

    /// Checks that a list of faults is empty. If it is not, the first fault is shown.
    pub(crate) fn none(what: &str, of: usize, found: &[String]) -> Self {
        let measured = match found.first() {
            None => format!("0 of {of}"),
            Some(first) => format!("{} of {of}: {first}", found.len()),
        };
        Self::new(what, measured, "0".to_owned(), found.is_empty())
    }

    /// Marks the check as one that may be measured again.
    pub(crate) fn timed(self) -> Self {
        Self { timed: true, ..self }
    }
}

/// Returns a readable number.
fn figure(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        value if value == value.trunc() || value >= 1_000.0 => 0,
        100.0.. => 1,
        _ => 2,
    };
    let space = if unit.is_empty() { "" } else { " " };
    format!("{value:.digits$}{space}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_itself_is_a_pass() {
        assert!(Check::at_most("x", 16.0, 16.0, "MiB").holds);
        assert!(!Check::at_most("x", 16.01, 16.0, "MiB").holds);
        assert!(Check::at_least("x", 3.0, 3.0, "").holds);
        assert!(!Check::at_least("x", 2.99, 3.0, "").holds);
        assert!(Check::within("x", 2.0, [2.0, 3.5], "s").holds);
        assert!(!Check::within("x", 3.51, [2.0, 3.5], "s").holds);
        assert!(!Check::equal("x", 999, 1_000).holds);
    }

    #[test]
    fn what_is_not_a_number_passes_nothing() {
        assert!(!Check::at_most("x", f64::NAN, 1.0, "").holds);
        assert!(!Check::at_least("x", f64::NAN, 1.0, "").holds);
        assert!(!Check::within("x", f64::NAN, [0.0, 1.0], "").holds);
    }

    #[test]
    fn figures_stand_beside_each_other() {
        let check = Check::at_most("memory", 3.456, 16.0, "MiB");
        assert_eq!((&*check.measured, &*check.pass), ("3.46 MiB", "≤ 16 MiB"));
        let check = Check::none("lost", 3, &["#1".to_owned(), "#2".to_owned()]);
        assert_eq!((&*check.measured, check.holds), ("2 of 3: #1", false));
    }
}
