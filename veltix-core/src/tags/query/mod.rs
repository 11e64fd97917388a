//! The text form of targets, for pages, command lines and settings.

mod error;
mod parser;
#[cfg(test)]
mod tests;
mod token;
mod words;
mod write;

use std::fmt;
use std::str::FromStr;

pub use error::ParseTargetError;

use self::parser::Parser;
use super::target::Target;
use crate::limits::TARGET_TEXT;

/// Reads the text form of a target.
///
/// | text | peers |
/// |---|---|
/// | `all`, `nobody` | every peer, no peer |
/// | `#71`, `#(71, 72)` | the peers with these ids |
/// | `room` | those with a tag of this name, with any value |
/// | `room = lobby`, `room != lobby` | those with this value, those without it |
/// | `level >= 5`, and `<=`, `>`, `<` | those with such a number |
/// | `room in (lobby, hall)` | those with one of these values |
/// | `!a`, `a & b`, `a \| b`, `(a)` | as with the operators; `&` binds closer than `\|` |
///
/// A name without quotes has letters, digits, `_`, `.` and `-`, and begins with a letter or `_`. A value is a
/// number, `true`, `false`, such a word, `()` for a bare tag, or a text in quotes with the escapes of JSON. The
/// words `all`, `nobody`, `in`, `true`, `false`, `NaN` and `inf` need quotes as names and texts.
///
/// ```
/// use veltix::{Target, tag};
///
/// let target: Target = "room = lobby & !(level < 5 | muted)".parse()?;
/// assert_eq!(target, tag("room").is("lobby") & !(tag("level").below(5) | tag("muted")));
/// let error = "room = ".parse::<Target>().unwrap_err();
/// assert_eq!(error.position(), 7);
/// # Ok::<(), veltix::ParseTargetError>(())
/// ```
///
/// # Errors
/// Returns [`ParseTargetError`], with the position, if the text is no target, has more than
/// [`TARGET_TEXT`](crate::limits::TARGET_TEXT) bytes, or is over a limit of targets.
impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        if text.len() > TARGET_TEXT {
            return Err(ParseTargetError::TooLong { length: text.len(), limit: TARGET_TEXT });
        }
        let target = Self(Parser::new(text)?.parse()?);
        target.check()?;
        Ok(target)
    }
}

impl fmt::Display for Target {
    /// Writes the text form, which is parsed to an equal target if it is not too long. Parentheses stand only
    /// if they change the meaning. An invalid target has no text form: its error is written instead.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::expression(f, &self.0)
    }
}
