//! The comments of a Rust file, with their lines.

/// A line of comment text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The number of the line, from 1.
    pub line: usize,
    /// The text behind the marker, which is `//`, `///`, `//!`, or those of a block comment.
    pub text: String,
    /// Whether it is documentation: a doc comment or the text of a `doc` attribute.
    pub is_doc: bool,
    /// Whether nothing else stands before it on its line. Such lines make one text together.
    pub is_alone: bool,
}

/// Returns the comments of Rust code, and the texts of its `doc` attributes.
pub fn comments(code: &str) -> Vec<Comment> {
    let mut reader = Reader { code, at: 0, line: 1, line_start: 0, comments: Vec::new() };
    while reader.at < code.len() {
        reader.step();
    }
    reader.comments
}

struct Reader<'a> {
    code: &'a str,
    at: usize,
    line: usize,
    line_start: usize,
    comments: Vec<Comment>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.code[self.at..]
    }

    fn step(&mut self) {
        let rest = self.rest();
        if rest.starts_with("//") {
            self.line_comment();
        } else if rest.starts_with("/*") {
            self.block_comment();
        } else if let Some(hashes) = raw_string(rest).filter(|_| !self.is_after_name()) {
            self.raw_string(hashes);
        } else if rest.starts_with('"') {
            self.string();
        } else if rest.starts_with('\'') {
            self.advance(char_literal_len(rest));
        } else {
            self.advance(rest.chars().next().map_or(1, char::len_utf8));
        }
    }

    /// Moves over `len` bytes and counts their lines.
    fn advance(&mut self, len: usize) {
        let passed = &self.code[self.at..self.at + len];
        self.line += passed.matches('\n').count();
        if let Some(newline) = passed.rfind('\n') {
            self.line_start = self.at + newline + 1;
        }
        self.at += len;
    }

    fn is_alone(&self) -> bool {
        self.code[self.line_start..self.at].trim().is_empty()
    }

    fn is_after_name(&self) -> bool {
        self.code[..self.at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
    }

    fn line_comment(&mut self) {
        let comment = self.rest().lines().next().unwrap_or_default();
        let is_doc = (comment.starts_with("///") && !comment.starts_with("////"))
            || comment.starts_with("//!");
        let text = comment[if is_doc { 3 } else { 2 }..].to_owned();
        let len = comment.len();
        let is_alone = self.is_alone();
        self.comments.push(Comment { line: self.line, text, is_doc, is_alone });
        self.advance(len);
    }

    fn block_comment(&mut self) {
        let rest = self.rest();
        let (mut depth, mut len) = (0, 0);
        while len < rest.len() {
            if rest[len..].starts_with("/*") {
                (depth, len) = (depth + 1, len + 2);
            } else if rest[len..].starts_with("*/") {
                (depth, len) = (depth - 1, len + 2);
            } else {
                len += rest[len..].chars().next().map_or(1, char::len_utf8);
            }
            if depth == 0 {
                break;
            }
        }
        let comment = &rest[..len];
        let is_doc = (comment.starts_with("/**") && !comment.starts_with("/**/"))
            || comment.starts_with("/*!");
        let inner = comment[if is_doc { 3 } else { 2 }..].trim_end_matches("*/");
        let lines = inner.lines().map(|line| line.trim_start().trim_start_matches('*').to_owned());
        let lines: Vec<_> = lines.collect();
        self.push_lines(lines, is_doc);
        self.advance(len);
    }

    fn push_lines(&mut self, lines: Vec<String>, is_doc: bool) {
        let first_is_alone = self.is_alone();
        for (at, text) in lines.into_iter().enumerate() {
            let is_alone = first_is_alone || at > 0;
            self.comments.push(Comment { line: self.line + at, text, is_doc, is_alone });
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        let start = self.rest().find('"').map_or(0, |quote| quote + 1);
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = &self.rest()[start..];
        let len = inside.find(&end).unwrap_or(inside.len());
        self.doc_text(start, len);
        self.advance((start + len + end.len()).min(self.rest().len()));
    }

    fn string(&mut self) {
        let rest = self.rest().as_bytes();
        let mut end = 1;
        while end < rest.len() && rest[end] != b'"' {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        self.doc_text(1, end.min(rest.len()) - 1);
        self.advance((end + 1).min(self.rest().len()));
    }

    /// Adds the text of a string if it is that of a `doc` attribute.
    fn doc_text(&mut self, start: usize, len: usize) {
        if self.code[..self.at].trim_end().ends_with("doc =") {
            let text = self.rest()[start..start + len].replace("\\n", "\n").replace("\\\"", "\"");
            let lines = text.lines().map(str::to_owned).collect();
            self.push_lines(lines, true);
        }
    }
}

/// Returns the number of `#` of the raw string at the beginning of `code`.
fn raw_string(code: &str) -> Option<usize> {
    let code = code.strip_prefix(['b', 'c']).unwrap_or(code).strip_prefix('r')?;
    let inside = code.trim_start_matches('#');
    inside.starts_with('"').then(|| code.len() - inside.len())
}

/// Returns the length of a character literal, or of the quote of a lifetime.
fn char_literal_len(code: &str) -> usize {
    let mut inside = code[1..].chars();
    match inside.next() {
        // The character behind the backslash may be a quote itself.
        Some('\\') => code[3..].find('\'').map_or(1, |end| end + 4),
        Some(one) if inside.next() == Some('\'') => one.len_utf8() + 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(code: &str) -> Vec<(usize, String)> {
        comments(code).into_iter().map(|comment| (comment.line, comment.text)).collect()
    }

    fn expected(texts: &[(usize, &str)]) -> Vec<(usize, String)> {
        texts.iter().map(|&(line, text)| (line, text.to_owned())).collect()
    }

    #[test]
    fn all_kinds_of_comments_are_found() {
        let code = "//! Crate.\n/// Doc.\nfn f() {} // After.\n/* One\n * Two */\n#[doc = \"Attr\\nTwo\"]\n";
        assert_eq!(
            texts(code),
            expected(&[
                (1, " Crate."),
                (2, " Doc."),
                (3, " After."),
                (4, "One"),
                (5, " Two "),
                (6, "Attr"),
                (7, "Two"),
            ])
        );
        let alone: Vec<_> = comments(code).iter().map(|comment| comment.is_alone).collect();
        assert_eq!(alone, [true, true, false, true, true, false, true]);
    }

    #[test]
    fn strings_and_characters_hold_no_comments() {
        let code = "let a = \"// no \\\" // no\"; let b = r#\"// \" no\"#; let c = ('\"', '\\'', '/', &'a \"\");\n// Yes";
        assert_eq!(texts(code), expected(&[(2, " Yes")]));
    }
}
