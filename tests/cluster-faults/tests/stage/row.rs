//! [`Row`]: the figures that a test measures, beside their limits.

use std::fmt::{Display, Write as _};

/// The line of a test. The test fails at the end of the line, so that it shows all figures.
pub(crate) struct Row {
    text: String,
    failed: Vec<String>,
}

impl Row {
    pub(crate) fn new(name: &str) -> Self {
        Self { text: format!("{name}:"), failed: Vec::new() }
    }

    /// Adds a figure that needs no limit.
    pub(crate) fn note(&mut self, what: impl Display) {
        let separator = if self.text.ends_with(':') { "" } else { "," };
        let _ = write!(self.text, "{separator} {what}");
    }

    fn check(&mut self, passes: bool, what: String) {
        self.note(&what);
        if !passes {
            self.failed.push(what);
        }
    }

    /// Adds a figure that must not be above its limit.
    pub(crate) fn most(&mut self, name: &str, measured: f64, limit: f64, unit: &str) {
        self.check(measured <= limit, format!("{name} {measured:.2}{unit} (<= {limit}{unit})"));
    }

    /// Adds a figure that must be within two limits.
    pub(crate) fn within(&mut self, name: &str, measured: f64, limits: (f64, f64), unit: &str) {
        let (least, most) = limits;
        let passes = (least..=most).contains(&measured);
        self.check(passes, format!("{name} {measured:.2}{unit} ({least} to {most}{unit})"));
    }

    /// Adds a number that must be this one.
    pub(crate) fn is<T: PartialEq + Display>(&mut self, name: &str, measured: T, expected: T) {
        self.check(measured == expected, format!("{name} {measured} (= {expected})"));
    }

    /// Adds a number that must not be below its limit.
    pub(crate) fn least<T: PartialOrd + Display>(&mut self, name: &str, measured: T, limit: T) {
        self.check(measured >= limit, format!("{name} {measured} (>= {limit})"));
    }

    /// Prints the line.
    pub(crate) fn end(self) {
        println!("{}", self.text);
        assert!(self.failed.is_empty(), "not within the limits: {}", self.failed.join(", "));
    }
}
