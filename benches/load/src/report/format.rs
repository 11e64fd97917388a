//! Numbers as text.

use super::statistics::Spread;

/// Returns a median and its range as two cells of a table.
pub(crate) fn both(spread: Option<Spread>) -> (String, String) {
    match spread {
        Some(Spread { low, median, high }) => {
            (number(median), format!("{}–{}", number(low), number(high)))
        }
        None => ("–".to_owned(), "–".to_owned()),
    }
}

/// Returns a number with at least three digits: the larger it is, the fewer decimals it has.
/// Thousands are separated.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        0.1..1.0 => 3,
        1.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    if decimals > 0 {
        return format!("{value:.decimals$}");
    }
    if size > 0.0 && size < 0.1 {
        return format!("{value:.4}");
    }
    let digits = format!("{size:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{2009}');
        }
        grouped.push(digit);
    }
    if value < 0.0 { format!("−{grouped}") } else { grouped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.0034, "0.0034"),
            (0.0, "0"),
            (0.699, "0.699"),
            (1.0, "1.00"),
            (57.31, "57.3"),
            (812.4, "812"),
            (3_400_000.0, "3\u{2009}400\u{2009}000"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }
}
