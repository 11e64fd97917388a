//! Text: sizes for people, JSON and UTF-8 as the Python package writes them, and peers' text made
//! safe for a log.

use std::fmt::{self, Display, Write as _};
use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::Formatter;

use crate::error::{BodyError, EncodeError};
use crate::json;
use crate::limits::LOGGED_CHARS;

/// Formats a number of bytes for people, in steps of 1024, with at most four significant digits and
/// two decimals.
///
/// ```
/// use veltix::text::format_bytes;
///
/// assert_eq!(format_bytes(148_000), "144.5 KB");
/// assert_eq!(format_bytes(3_000_000), "2.86 MB");
/// ```
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["KB", "MB", "GB", "TB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    // There is no unit above TB, so only numbers of TB can have more than four digits.
    let mut step = 1.0;
    while value / step >= 10_000.0 {
        step *= 10.0;
    }
    if step > 1.0 {
        value = (value / step).round_ties_even() * step;
    }
    let decimals = match value {
        ..100.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    let number = format!("{value:.decimals$}");
    let number = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        &number
    };
    format!("{number} {unit}")
}

/// Writes a value as JSON, byte for byte as Python's `json.dumps` writes it: with a space after
/// every comma and colon, and in ASCII only.
///
/// Messages do not need this form, because [`Message::from_json`](crate::Message::from_json) is
/// shorter on the wire. Use it for data that a Python peer compares or signs. NaN and the
/// infinities are refused, because the form that Python writes is not JSON.
///
/// # Errors
/// Returns [`EncodeError::Json`] if the value cannot be written as JSON, for example a map whose
/// keys are not strings, numbers or booleans. Returns [`EncodeError::NotFinite`],
/// [`EncodeError::SomeIsNull`] or [`EncodeError::TooDeep`] if a reader would find another value, or
/// none.
pub fn encode_json<T>(value: &T) -> Result<Bytes, EncodeError>
where
    T: Serialize + ?Sized,
{
    Ok(json::write_with(value, PythonFormatter)?.into())
}

/// Reads a value from JSON in UTF-8 without a byte order mark.
///
/// # Errors
/// Returns [`BodyError::Utf8`] if the bytes are not UTF-8, and [`BodyError::Json`] if they are not
/// JSON or do not fit the type `T`. `NaN` and `Infinity`, which Python accepts, are not JSON.
pub fn decode_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, BodyError> {
    Ok(serde_json::from_str(decode_utf8(json)?)?)
}

/// Returns the bytes of a text in UTF-8.
#[must_use]
pub fn encode_utf8(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Reads a text from UTF-8. A byte order mark is kept.
///
/// # Errors
/// Returns [`BodyError::Utf8`] if the bytes are not UTF-8.
pub fn decode_utf8(bytes: &[u8]) -> Result<&str, BodyError> {
    Ok(std::str::from_utf8(bytes)?)
}

/// Makes a peer's text safe for a log: see [`Printable`].
#[must_use]
pub const fn printable(text: &str) -> Printable<'_> {
    Printable(text)
}

/// A printable text displays a peer's text on one line. It escapes characters that do not print:
/// control characters, line separators, and marks that reorder or hide text. It also escapes double
/// quotes and backslashes, so that no text can look like an escape or end a quoted field. A text of
/// more than [`LOGGED_CHARS`] characters is cut, and ends with "…".
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(&'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = LOGGED_CHARS;
        for character in self.0.chars() {
            // An apostrophe is harmless and common, and `escape_debug` is made for `char` literals.
            let escaped = character.escape_debug();
            let width = if character == '\'' { 1 } else { escaped.len() };
            if width > room {
                return f.write_char('…');
            }
            room -= width;
            match width {
                1 => f.write_char(character)?,
                _ => write!(f, "{escaped}")?,
            }
        }
        Ok(())
    }
}

/// Writes JSON as Python's `json.dumps` writes it by default.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W>(&mut self, writer: &mut W, first: bool) -> io::Result<()>
    where
        W: io::Write + ?Sized,
    {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W>(&mut self, writer: &mut W, first: bool) -> io::Result<()>
    where
        W: io::Write + ?Sized,
    {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W>(&mut self, writer: &mut W) -> io::Result<()>
    where
        W: io::Write + ?Sized,
    {
        writer.write_all(b": ")
    }

    /// Keeps only the printable ASCII characters of those that JSON itself allows.
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: io::Write + ?Sized,
    {
        let mut written = 0;
        for (at, character) in fragment.char_indices() {
            if (' '..='~').contains(&character) {
                continue;
            }
            writer.write_all(&fragment.as_bytes()[written..at])?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[written..])
    }

    /// Converts the float to 64 bits by its shortest digits, because Python has no floats of 32
    /// bits and would read those digits as 64 bits.
    fn write_f32<W>(&mut self, writer: &mut W, value: f32) -> io::Result<()>
    where
        W: io::Write + ?Sized,
    {
        let value = value.to_string().parse().unwrap_or_else(|_| value.into());
        self.write_f64(writer, value)
    }

    fn write_f64<W>(&mut self, writer: &mut W, value: f64) -> io::Result<()>
    where
        W: io::Write + ?Sized,
    {
        writer.write_all(python_repr(value).as_bytes())
    }
}

/// Formats a finite float like Python's `repr`: with the shortest digits that read back as the same
/// number, and with an exponent (signed, of at least two digits) below 0.0001 and from 1e16.
fn python_repr(value: f64) -> String {
    // If two shortest texts are equally near to the number, Rust chooses the larger and Python the
    // even one. Rust chooses the even one too when it rounds to a given length, but next to a power
    // of two the nearest text of that length may read back as another number.
    let choose = |rounded: String, shortest: String| {
        if rounded.parse() == Ok(value) { rounded } else { shortest }
    };
    let shortest = format!("{value:e}");
    let (digits, exponent) = split_exponent(&shortest);
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if (-4..16).contains(&exponent) {
        let decimals = (fraction as i32 - exponent).max(1) as usize;
        choose(format!("{value:.decimals$}"), value.to_string())
    } else {
        let chosen = choose(format!("{value:.fraction$e}"), shortest);
        let (digits, exponent) = split_exponent(&chosen);
        format!("{digits}e{exponent:+03}")
    }
}

/// Splits a number in the format `{:e}` into its digits and its exponent.
fn split_exponent(scientific: &str) -> (&str, i32) {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (digits, exponent.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn sizes_are_formatted_for_people() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1, "1 B"),
            (1000, "1000 B"),
            (1023, "1023 B"),
            (1024, "1 KB"),
            (1536, "1.5 KB"),
            (148_000, "144.5 KB"),
            (1_048_063, "1023 KB"),
            (1_048_575, "1024 KB"),
            (1_048_576, "1 MB"),
            (1_234_567, "1.18 MB"),
            (3_000_000, "2.86 MB"),
            (10_480_000, "9.99 MB"),
            (104_857_599, "100 MB"),
            (1_073_741_823, "1024 MB"),
            (1 << 30, "1 GB"),
            ((1 << 40) - 1, "1024 GB"),
            (1 << 40, "1 TB"),
            (1_000_000_000_000_000, "909.5 TB"),
            (1 << 50, "1024 TB"),
            (10_000_000_000_000_000, "9095 TB"),
            (100_000_000_000_000_000, "90950 TB"),
            (u64::MAX, "16780000 TB"),
        ] {
            assert_eq!(format_bytes(bytes), expected, "{bytes}");
        }
    }

    #[track_caller]
    fn check_json<T: Serialize + ?Sized>(value: &T, expected: &str) {
        assert_eq!(encode_json(value).unwrap(), expected);
    }

    /// The expected texts are the output of `json.dumps` of Python 3.
    #[test]
    fn json_is_pythons() {
        check_json(
            &json!({"a": 1, "b": [1, 2.0, null, true]}),
            r#"{"a": 1, "b": [1, 2.0, null, true]}"#,
        );
        check_json(&json!({"é": "日本😀"}), r#"{"\u00e9": "\u65e5\u672c\ud83d\ude00"}"#);
        check_json("x", r#""x""#);
        check_json(&(), "null");
        check_json(&json!([]), "[]");
        check_json(&json!({}), "{}");
        check_json(&12_345_678_901_234_567_890_u64, "12345678901234567890");
        check_json(
            "\u{2028}</\u{7f}\0\n\"\\/\u{8}\u{c}\r\t\u{1f}~",
            r#""\u2028</\u007f\u0000\n\"\\/\b\f\r\t\u001f~""#,
        );
        check_json(
            &json!([[], {}, [[1]], {"k": {"l": []}}]),
            r#"[[], {}, [[1]], {"k": {"l": []}}]"#,
        );
        check_json(&BTreeMap::from([(1, true), (2, false)]), r#"{"1": true, "2": false}"#);
        assert!(encode_json(&[f64::NAN, f64::INFINITY]).is_err());

        #[derive(Serialize)]
        struct InOrder {
            z: u8,
            a: Option<char>,
        }
        check_json(&InOrder { z: 1, a: Some('ÿ') }, r#"{"z": 1, "a": "\u00ff"}"#);
    }

    /// The expected texts are the output of `repr` of Python 3.
    #[test]
    fn floats_are_pythons() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (2.0, "2.0"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (1e16, "1e+16"),
            (1e20, "1e+20"),
            (1.234e20, "1.234e+20"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e15, "1000000000000000.0"),
            (1e-4, "0.0001"),
            (0.000_123, "0.000123"),
            (9.999e-5, "9.999e-05"),
            (1e-7, "1e-07"),
            (-2.5e-10, "-2.5e-10"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (std::f64::consts::PI, "3.141592653589793"),
            // The first number is halfway between two texts, the others are next to a power of two.
            (-801_419_132_661.75 - 0.031_25, "-801419132661.7812"),
            (9.0 / f64::from(1 << 23), "1.0728836059570312e-06"),
            (1.0 / f64::from(1 << 24), "5.960464477539063e-08"),
        ] {
            check_json(&value, expected);
        }
        check_json(&[0.1_f32, 1e-4, 1e16, 16_777_216.0], "[0.1, 0.0001, 1e+16, 16777216.0]");
    }

    #[test]
    fn json_is_read_strictly() {
        assert_eq!(decode_json::<Value>(br#" {"a": 1} "#).unwrap(), json!({"a": 1}));
        assert_eq!(decode_json::<String>(r#""日""#.as_bytes()).unwrap(), "日");
        let utf8 = |json: &[u8]| matches!(decode_json::<Value>(json), Err(BodyError::Utf8(_)));
        assert!(utf8(b"\xff"));
        assert!(utf8(b"\"\xed\xa0\x80\""));
        for json in ["", "\u{feff}1", "NaN", "-Infinity", "{'a':1}", "[1,]", "01", "1 2"] {
            let read = decode_json::<Value>(json.as_bytes());
            assert!(matches!(read, Err(BodyError::Json(_))), "{json:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(decode_json::<Value>(deep.as_bytes()).is_err(), "depth is limited");
    }

    #[test]
    fn utf8_goes_there_and_back() {
        let text = "\u{feff}日本";
        assert_eq!(decode_utf8(&encode_utf8(text)).unwrap(), text);
        assert!(decode_utf8(b"\xc0\x80").is_err());
    }

    #[test]
    fn r45_what_does_not_print_is_escaped() {
        for (text, expected) in [
            ("plain, it's 日本 é", "plain, it's 日本 é"),
            ("a\r\nb\tc\0", r"a\r\nb\tc\0"),
            ("\u{1b}[31m\u{7f}\u{9b}", r"\u{1b}[31m\u{7f}\u{9b}"),
            ("\u{202e}\u{2066}\u{200f}", r"\u{202e}\u{2066}\u{200f}"),
            ("\u{2028}\u{2029}\u{85}", r"\u{2028}\u{2029}\u{85}"),
            ("\u{200b}\u{feff}\u{e0001}\u{a0}", r"\u{200b}\u{feff}\u{e0001}\u{a0}"),
            (r#"\n" level=ERROR"#, r#"\\n\" level=ERROR"#),
        ] {
            assert_eq!(printable(text).to_string(), expected);
        }
    }

    #[test]
    fn r45_no_character_ends_a_line_or_hides() {
        for character in '\0'..=char::MAX {
            let shown = printable(character.encode_utf8(&mut [0; 4])).to_string();
            let is_shown = shown.chars().all(|shown| {
                !shown.is_control()
                    && !matches!(shown, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            });
            assert!(is_shown && !shown.is_empty(), "{character:?}");
            // The output is the character itself or an escape, and no other output looks like an
            // escape.
            assert_eq!(
                shown.starts_with('\\'),
                shown.len() > character.len_utf8(),
                "{character:?}"
            );
        }
    }

    #[test]
    fn r45_long_texts_are_cut() {
        let whole = "é".repeat(LOGGED_CHARS);
        assert_eq!(printable(&whole).to_string(), whole);
        assert_eq!(printable(&(whole.clone() + "é")).to_string(), whole + "…");
        let escapes = printable(&"\0".repeat(30_000)).to_string();
        assert_eq!(escapes, r"\0".repeat(LOGGED_CHARS / 2) + "…");
        // An escape is never cut in two.
        let text = "a".repeat(LOGGED_CHARS - 3) + "\u{202e}";
        assert_eq!(printable(&text).to_string(), "a".repeat(LOGGED_CHARS - 3) + "…");
    }
}
