//! [`Row`]: the figures that a test measures, beside their limits.

use std::fmt::{Display, Write as _};
use std::{env, fs};

/// Names the page whose table the figures are written to. Its other lines stay.
const PAGE: &str = "VELTIX_FAULTS_PAGE";

/// The figures of a test. The test fails at the end, so that all of them are shown.
pub(crate) struct Row {
    name: &'static str,
    figures: Vec<Figure>,
}

struct Figure {
    name: String,
    measured: String,
    /// Is empty for a figure without a limit.
    limit: String,
    passes: bool,
}

impl Row {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, figures: Vec::new() }
    }

    fn add(&mut self, name: &str, measured: String, limit: String, passes: bool) {
        self.figures.push(Figure { name: name.to_owned(), measured, limit, passes });
    }

    /// Adds a figure without a limit.
    pub(crate) fn note(&mut self, name: &str, measured: impl Display) {
        self.add(name, measured.to_string(), String::new(), true);
    }

    /// Adds a figure that must not be above its limit.
    pub(crate) fn most(&mut self, name: &str, measured: f64, limit: f64, unit: &str) {
        let limit_text = format!("≤ {}{unit}", short(limit));
        self.add(name, format!("{measured:.2}{unit}"), limit_text, measured <= limit);
    }

    /// Adds a figure that must be within two limits.
    pub(crate) fn within(&mut self, name: &str, measured: f64, limits: (f64, f64), unit: &str) {
        let (least, most) = limits;
        let passes = (least..=most).contains(&measured);
        self.add(name, format!("{measured:.2}{unit}"), format!("{least} to {most}{unit}"), passes);
    }

    /// Adds a number that must be this one.
    pub(crate) fn is<T: PartialEq + Display>(&mut self, name: &str, measured: T, expected: T) {
        let passes = measured == expected;
        self.add(name, measured.to_string(), format!("= {expected}"), passes);
    }

    /// Adds a number that must not be below its limit.
    pub(crate) fn least<T: PartialOrd + Display>(&mut self, name: &str, measured: T, limit: T) {
        let passes = measured >= limit;
        self.add(name, measured.to_string(), format!("≥ {limit}"), passes);
    }

    /// Prints the figures in one line.
    pub(crate) fn end(self) {
        let mut line = format!("{}:", self.name);
        for (number, Figure { name, measured, limit, .. }) in self.figures.iter().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            let _ = write!(line, "{separator} {name} {measured}");
            if !limit.is_empty() {
                let _ = write!(line, " ({limit})");
            }
        }
        println!("{line}");
        if let Some(page) = env::var_os(PAGE) {
            let text = fs::read_to_string(&page).unwrap();
            fs::write(&page, self.replaced(&text)).unwrap();
        }
        let failed = self.figures.iter().filter(|figure| !figure.passes);
        let failed: Vec<_> = failed.map(|it| format!("{} {}", it.name, it.measured)).collect();
        assert!(failed.is_empty(), "not within the limits: {}", failed.join(", "));
    }

    /// Returns the page with these figures in place of the former ones of the same test.
    fn replaced(&self, page: &str) -> String {
        let is_row = |line: &&str| line.starts_with("| C");
        let own = format!("| {} |", self.name);
        let figures = self.figures.iter().map(|Figure { name, measured, limit, passes }| {
            let result = match (limit.is_empty(), passes) {
                (true, _) => "",
                (_, true) => "ok",
                (_, false) => "FAILED",
            };
            format!("{own} {name} | {measured} | {limit} | {result} |")
        });
        let others = page.lines().filter(|line| is_row(line) && !line.starts_with(&own));
        let mut rows: Vec<_> = others.map(str::to_owned).chain(figures).collect();
        // The order within a test stays.
        rows.sort_by_key(|row| {
            row[3..].split(' ').next().and_then(|number| number.parse::<u8>().ok())
        });
        let text = page.lines().filter(|line| !is_row(line));
        text.map(str::to_owned).chain(rows).collect::<Vec<_>>().join("\n") + "\n"
    }
}

/// Returns a limit with the digits that it needs.
fn short(limit: f64) -> String {
    let text = format!("{limit:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
