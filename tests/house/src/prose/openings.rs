//! The beginnings and words that a sentence should not have.

/// Beginnings of a sentence, as whole words: "Whose" is not "Who".
const BEGINNINGS: &[&str] =
    &["What", "Who", "Whoever", "Whom", "Where", "Those who", "Anyone who", "That which"];
/// Words that hide the unit of a number.
const MEASURES: &[&str] = &["so long", "so many", "so much"];

/// The form of an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A clause as the subject: "What is received is queued."
    Subject,
    /// "Where X, Y": a condition.
    Condition,
    /// A sentence that ends with a question mark.
    Question,
    /// "So many" for a number, anywhere in the sentence.
    Measure,
}

/// A sentence that should have another form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The words that were found.
    pub words: &'static str,
    /// How they are used.
    pub kind: Kind,
}

/// Returns all openings and measures of a sentence. Words in quotes or backticks are mentioned, not used, so
/// they do not count.
pub(crate) fn openings(sentence: &str) -> Vec<Opening> {
    let begin = sentence.trim_start_matches(|c: char| "*_[(".contains(c) || c.is_whitespace());
    let lower = begin.to_lowercase();
    let mut found = Vec::new();
    for &words in BEGINNINGS {
        let rest = lower.strip_prefix(&words.to_lowercase());
        if rest.is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || "_:<(".contains(c))
        }) {
            let ends = sentence.trim_end_matches(['*', '_', ')', '"', '”', '\'']);
            let kind = if ends.ends_with('?') {
                Kind::Question
            } else if words == "Where" && begin.contains(',') {
                Kind::Condition
            } else {
                Kind::Subject
            };
            found.push(Opening { words, kind });
        }
    }
    let lower = sentence.to_lowercase();
    for &words in MEASURES {
        let count =
            lower.match_indices(words).filter(|(at, _)| is_measure(&lower, *at, words)).count();
        found.extend((0..count).map(|_| Opening { words, kind: Kind::Measure }));
    }
    found
}

/// Returns whether the words at `at` stand alone, and for a number: "so many that" gives the number itself.
fn is_measure(sentence: &str, at: usize, words: &str) -> bool {
    let is_inside = sentence[..at].ends_with(|c: char| c.is_alphanumeric() || "_\"“`".contains(c));
    let behind = &sentence[at + words.len()..];
    let is_longer = behind.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let gives = ["that", "as"].iter().any(|word| {
        let next = behind.trim_start().strip_prefix(word);
        next.is_some_and(|next| !next.starts_with(char::is_alphanumeric))
    });
    !is_inside && !is_longer && !gives
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sentence: &str) -> Vec<(&'static str, Kind)> {
        openings(sentence).into_iter().map(|opening| (opening.words, opening.kind)).collect()
    }

    #[test]
    fn beginnings_are_found() {
        assert_eq!(found("What is received is queued."), [("What", Kind::Subject)]);
        assert_eq!(found("**Whoever fills an outbox**, flushes it."), [("Whoever", Kind::Subject)]);
        assert_eq!(found("what it is"), [("What", Kind::Subject)]);
        assert_eq!(found("Where it is full, it drops."), [("Where", Kind::Condition)]);
        assert_eq!(found("(Where is it?)"), [("Where", Kind::Question)]);
        assert_eq!(found("Those who wait are woken."), [("Those who", Kind::Subject)]);
        assert_eq!(found("That which is left."), [("That which", Kind::Subject)]);
    }

    #[test]
    fn other_words_are_not() {
        assert_eq!(found("Whose turn it is, whatever happens, what is sent."), []);
        assert_eq!(found("`What` is a type. Who::new() is code."), []);
        assert_eq!(found("\"What\" and \"so many\" are words."), []);
    }

    #[test]
    fn measures_are_found_anywhere() {
        assert_eq!(
            found("So many bytes, after so long."),
            [("so long", Kind::Measure), ("so many", Kind::Measure)]
        );
        assert_eq!(found("It is so much that it stops, so many as there are, also long."), []);
    }
}
