//! Sentences of a block of text.

use super::blocks::Block;

/// A sentence, and the line on which it begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Joins the lines of a block and splits them into sentences. A sentence ends at a full stop, an exclamation
/// mark or a question mark, with what closes behind it, before a blank and anything but a small letter.
pub(crate) fn sentences(block: &Block) -> Vec<Sentence> {
    let mut text = String::new();
    let mut lines = Vec::new();
    for (number, line) in block {
        if !text.is_empty() {
            text.push(' ');
        }
        lines.push((text.len(), *number));
        text.push_str(line);
    }
    let line_at = |at: usize| {
        let before = lines.iter().rev().find(|(start, _)| *start <= at);
        before.map_or(0, |(_, number)| *number)
    };
    let mut sentences = Vec::new();
    let mut start = 0;
    for end in ends(&text) {
        let sentence = text[start..end].trim_start();
        if !sentence.trim().is_empty() {
            let line = line_at(end - sentence.len());
            sentences.push(Sentence { line, text: sentence.trim_end().to_owned() });
        }
        start = end;
    }
    sentences
}

/// Returns the places behind the ends of sentences, the last of which is the end of the text.
fn ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    for (at, _) in text.match_indices(['.', '!', '?', '…']) {
        let mark = text[at..].chars().next().map_or(1, char::len_utf8);
        let behind = text[at + mark..]
            .trim_start_matches(['.', '!', '?', ')', ']', '*', '_', '"', '”', '\'']);
        let next = behind.trim_start();
        let is_apart = next.len() < behind.len();
        let begins = next.trim_start_matches(['*', '_', '"', '“', '(', '[']);
        if is_apart && !begins.starts_with(|c: char| c.is_lowercase() || c.is_ascii_digit()) {
            ends.push(text.len() - behind.len());
        }
    }
    ends.push(text.len());
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_split_over_lines() {
        let block = vec![
            (3, "One. Two, e.g. this".to_owned()),
            (4, "(three?). **Four** `a.b`!".to_owned()),
        ];
        let found: Vec<_> =
            sentences(&block).into_iter().map(|found| (found.line, found.text)).collect();
        let expected = [(3, "One."), (3, "Two, e.g. this (three?)."), (4, "**Four** `a.b`!")];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_owned())));
    }
}
