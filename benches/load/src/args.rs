//! Parsers of arguments that several commands share.

use anyhow::{Result, ensure};
use clap::builder::PossibleValuesParser;

/// Returns a parser that accepts exactly these words.
pub(crate) fn one_of(names: impl Iterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(names)
}

/// Parses the length of a measurement: more than zero seconds and at most an hour.
pub(crate) fn seconds(text: &str) -> Result<f64> {
    let seconds: f64 = text.parse()?;
    ensure!(seconds > 0.0 && seconds <= 3_600.0, "more than 0 and at most 3600");
    Ok(seconds)
}
