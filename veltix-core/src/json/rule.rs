//! The rules for values in JSON: which of them a reader takes for another value, or does not accept.

use std::fmt;

use crate::limits::BODY_DEPTH;

/// Is the number of arrays and objects that may be nested.
pub(super) const MAX_DEPTH: u8 = BODY_DEPTH as u8;

/// A problem is the reason why a value cannot be read back from JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// A float is NaN or infinite. JSON has no form for it.
    NotFinite,
    /// A `Some` contains a value whose form is `null`, which is read as `None`.
    SomeIsNull,
    /// Arrays and objects are nested too deep.
    TooDeep,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFinite => "a number is NaN or infinite",
            Self::SomeIsNull => "a `Some` contains `null`",
            Self::TooDeep => "arrays and objects are nested too deep",
        })
    }
}

/// Returns the levels of a variant with several fields. JSON writes it as an array or object in an
/// object.
pub(super) const fn variant_levels(json: bool) -> u8 {
    if json { 2 } else { 1 }
}

/// Tells whether a value is directly in a `Some`, where `null` would be read as `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InSome {
    No,
    Yes,
    /// The value is the text of a `RawValue` of serde_json, which is written as it is.
    Raw,
}

impl InSome {
    /// Returns the place of the parts of a struct of this name.
    #[inline(always)]
    pub(super) fn inside(self, name: &str) -> Self {
        const RAW_VALUE: &str = "$serde_json::private::RawValue";
        if self == Self::Yes && name == RAW_VALUE { Self::Raw } else { Self::No }
    }

    /// Returns whether this text is a raw `null` in a `Some`.
    #[inline(always)]
    pub(super) fn is_raw_null(self, text: &str) -> bool {
        self == Self::Raw && text == "null"
    }
}

/// Returns the depth below a struct of this name at the limit, if serde_json takes the struct for
/// one of its own types, which are written without a nested object.
#[cold]
pub(super) fn pseudo_depth(name: &str) -> Option<u8> {
    name.starts_with("$serde_json::private::").then_some(0)
}

/// Returns whether a reader may take the shortest digits of this float for its neighbour.
///
/// A reader that keeps a number until it knows its type, such as serde in flattened fields and in
/// tagged enums, or Python, reads 64 bits, and rounds them to 32 bits later. For one float, and its
/// negative, the two steps give another result than one. More digits make both results equal.
#[inline]
pub(super) const fn needs_double(value: f32) -> bool {
    const ROUNDED_TWICE: u32 = 0x15ae_43fd;
    value.to_bits() & !(1 << 31) == ROUNDED_TWICE
}
