//! Writes the text form of targets.

use std::fmt;

use super::words::{INFINITY, MINUS_INFINITY, NAN, RESERVED, is_word};
use crate::tags::expression::{Expression, separated};
use crate::tags::number::Comparison;
use crate::tags::value::TagValue;

pub(super) fn expression(f: &mut fmt::Formatter<'_>, of: &Expression) -> fmt::Result {
    match of {
        Expression::All => f.write_str("all"),
        Expression::Nobody => f.write_str("nobody"),
        Expression::Has(name) => text(f, name),
        Expression::Is(name, wanted) => equals(f, name, "=", &wanted.to_value()),
        Expression::AnyOf(name, values) => {
            let mut values: Vec<_> = values.iter().map(|stored| stored.to_value()).collect();
            values.sort_unstable();
            text(f, name)?;
            f.write_str(" in (")?;
            separated(f, ", ", &values, value)?;
            f.write_str(")")
        }
        Expression::Compare(name, comparison, number) => {
            text(f, name)?;
            write!(f, " {} ", sign(*comparison))?;
            value(f, number.value())
        }
        Expression::Peers(peers) => match **peers {
            [peer] => write!(f, "#{peer}"),
            _ => {
                f.write_str("#(")?;
                separated(f, ", ", peers.iter(), |f, peer| write!(f, "{peer}"))?;
                f.write_str(")")
            }
        },
        Expression::Not(term) => match &**term {
            Expression::Is(name, wanted) => equals(f, name, "!=", &wanted.to_value()),
            term => {
                f.write_str("!")?;
                let is_one = matches!(
                    term,
                    Expression::Has(_)
                        | Expression::Peers(_)
                        | Expression::All
                        | Expression::Nobody
                );
                grouped(f, term, !is_one)
            }
        },
        Expression::And(terms) => separated(f, " & ", &terms.list, |f, term| {
            grouped(f, term, matches!(term, Expression::Or(_)))
        }),
        Expression::Or(terms) => separated(f, " | ", &terms.list, expression),
        // `<` begins no target, so that this is not read as one.
        Expression::Invalid(error) => write!(f, "<invalid: {error}>"),
    }
}

fn equals(f: &mut fmt::Formatter<'_>, name: &str, sign: &str, wanted: &TagValue) -> fmt::Result {
    text(f, name)?;
    write!(f, " {sign} ")?;
    value(f, wanted)
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::AtLeast => ">=",
        Comparison::AtMost => "<=",
        Comparison::Above => ">",
        Comparison::Below => "<",
    }
}

fn value(f: &mut fmt::Formatter<'_>, of: &TagValue) -> fmt::Result {
    match of {
        TagValue::Text(content) => text(f, content),
        TagValue::Float(number) if number.is_nan() => f.write_str(NAN),
        TagValue::Float(number) if *number == f64::INFINITY => f.write_str(INFINITY),
        TagValue::Float(number) if *number == f64::NEG_INFINITY => f.write_str(MINUS_INFINITY),
        // Its `Display` is that of Rust source, which is the same for the other values.
        other => write!(f, "{other}"),
    }
}

/// Writes a name or a text, in quotes if it needs them.
fn text(f: &mut fmt::Formatter<'_>, content: &str) -> fmt::Result {
    if is_word(content) && !RESERVED.contains(&content) {
        return f.write_str(content);
    }
    // A text is always valid JSON. Characters that turn the direction of a line are escaped too, since the
    // text may come from a peer and be shown.
    f.write_str("\"")?;
    for c in content.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if is_shown(c) => write!(f, "{c}")?,
            c => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units)
                    .iter()
                    .try_for_each(|unit| write!(f, "\\u{unit:04x}"))?;
            }
        }
    }
    f.write_str("\"")
}

/// Returns whether the character is written as it is: Rust's source form of a text does so too.
fn is_shown(c: char) -> bool {
    matches!(c, '\'' | ' ') || c.escape_debug().len() == 1
}

fn grouped(f: &mut fmt::Formatter<'_>, term: &Expression, parentheses: bool) -> fmt::Result {
    if parentheses {
        f.write_str("(")?;
        expression(f, term)?;
        f.write_str(")")
    } else {
        expression(f, term)
    }
}
