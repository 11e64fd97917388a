//! Words without quotes, and those of them that have a meaning.

use crate::tags::value::TagValue;

/// Words that are no names of tags and no texts without quotes.
pub(super) const RESERVED: [&str; 7] = ["all", "nobody", "in", "true", "false", NAN, INFINITY];

pub(super) const NAN: &str = "NaN";
pub(super) const INFINITY: &str = "inf";
/// It is read like a number, since it begins like one.
pub(super) const MINUS_INFINITY: &str = "-inf";

/// Returns the value that a reserved word means.
pub(super) fn reserved_value(word: &str) -> Option<TagValue> {
    match word {
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        NAN => Some(f64::NAN.into()),
        INFINITY => Some(f64::INFINITY.into()),
        _ => None,
    }
}

/// Returns whether the character may be in a word without quotes.
pub(super) const fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

/// Returns whether the text is a word without quotes.
pub(super) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_of_word)
}
