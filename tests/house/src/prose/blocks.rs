//! Blocks of text: paragraphs, list items, headings and table cells, as lines.

use crate::comments::{Comment, comments};

/// A block of text: its lines, each with its number.
pub(crate) type Block = Vec<(usize, String)>;

/// Returns the blocks of a file by the end of its name; none for files without prose.
pub(crate) fn of_file(path: &str, text: &str) -> Vec<Block> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("rs") => of_comments(&comments(text)),
        Some("md") => of_markdown(lines),
        Some("toml" | "sh") => of_hash_comments(lines, false),
        Some("py") => of_hash_comments(lines, true),
        // The scripts in `.ci` have names without an end.
        _ if path.starts_with(".ci/") => of_hash_comments(lines, false),
        _ => Vec::new(),
    }
}

/// Splits comments into blocks. Those on lines after each other make one text.
fn of_comments(comments: &[Comment]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let joins = |a: &Comment, b: &Comment| {
        a.is_alone && b.is_alone && a.is_doc == b.is_doc && a.line + 1 == b.line
    };
    for text in comments.chunk_by(joins) {
        blocks
            .extend(of_markdown(text.iter().map(|comment| (comment.line, comment.text.as_str()))));
    }
    blocks
}

/// Splits Markdown into blocks, without code.
pub(crate) fn of_markdown<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<Block> {
    let mut blocks = Blocks::default();
    let mut fence = None;
    for (number, line) in lines {
        let line = line.trim().trim_start_matches("> ");
        if let Some(mark) = fence {
            if line.starts_with(mark) {
                fence = None;
            }
            continue;
        }
        fence = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
        if fence.is_some() || line.is_empty() {
            blocks.end();
        } else if line.starts_with('#') {
            blocks.end();
            blocks.add(number, line.trim_start_matches('#'));
            blocks.end();
        } else if line.starts_with('|') {
            for cell in cells(line) {
                blocks.end();
                blocks.add(number, &cell);
            }
            blocks.end();
        } else {
            let item = list_item(line);
            if item.is_some() {
                blocks.end();
            }
            blocks.add(number, item.unwrap_or(line));
        }
    }
    blocks.end();
    blocks.done
}

/// Splits a table row at its bars, except for those in backticks.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut in_code, mut escaped) = (false, false);
    for c in row.chars() {
        if c == '|' && !in_code && !escaped {
            cells.push(String::new());
        } else if let Some(cell) = cells.last_mut() {
            cell.push(c);
        }
        in_code ^= c == '`';
        escaped = c == '\\';
    }
    cells
}

/// Returns the text of a list item's first line.
fn list_item(line: &str) -> Option<&str> {
    let marked = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = marked.len() < line.len();
    let text = if is_numbered {
        marked.strip_prefix(['.', ')'])?
    } else {
        line.strip_prefix(['-', '*', '+'])?
    };
    text.strip_prefix(' ')
}

/// Splits comments that begin with `#` into blocks, whether they stand on lines of their own or behind code.
fn of_hash_comments<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    is_python: bool,
) -> Vec<Block> {
    let mut text = Vec::new();
    let mut blocks = Vec::new();
    let mut in_text = false;
    for (number, line) in lines {
        // In Python, three quotes begin or end a text of several lines.
        let changes =
            is_python && (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        let at = if in_text || changes { None } else { hash_at(line) };
        in_text ^= changes;
        let Some(at) = at.filter(|_| number > 1 || !line.starts_with("#!")) else { continue };
        let comment = (number, line[at..].trim_start_matches('#'));
        if line[..at].trim().is_empty() {
            text.push(comment);
        } else {
            blocks.extend(of_markdown([comment].into_iter()));
        }
    }
    for part in text.chunk_by(|a, b| a.0 + 1 == b.0) {
        blocks.extend(of_markdown(part.iter().copied()));
    }
    blocks
}

/// Returns the place of the `#` that begins a comment: outside of quotes, and behind a blank.
fn hash_at(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open && before != '\\' => quote = None,
            Some(_) => {}
            None if c == '#' && before.is_whitespace() => return Some(at),
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
        before = c;
    }
    None
}

/// Collects blocks line by line.
#[derive(Default)]
struct Blocks {
    done: Vec<Block>,
    open: Block,
}

impl Blocks {
    fn add(&mut self, number: usize, line: &str) {
        let line = line.trim();
        if !line.is_empty() {
            self.open.push((number, line.to_owned()));
        }
    }

    fn end(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(path: &str, text: &str) -> Vec<String> {
        let join = |block: Block| {
            let lines: Vec<_> = block.iter().map(|(_, line)| line.as_str()).collect();
            format!("{}: {}", block[0].0, lines.join(" "))
        };
        of_file(path, text).into_iter().map(join).collect()
    }

    #[test]
    fn markdown_is_split_without_its_code() {
        let text = "# Head\nOne\ntwo.\n\n```sh\nWhat is code\n```\n- item\n  more\n2. next\n| a | `b|c` |\n|--|--|";
        assert_eq!(
            flat("a.md", text),
            [
                "1: Head",
                "2: One two.",
                "8: item more",
                "10: next",
                "11: a",
                "11: `b|c`",
                "12: --",
                "12: --"
            ]
        );
    }

    #[test]
    fn comments_on_lines_after_each_other_are_one_text() {
        let code = "/// One\n/// two.\n// Plain.\nlet x; // After\n// Own.\n\n// Far.";
        assert_eq!(
            flat("a.rs", code),
            ["1: One two.", "3: Plain.", "4: After", "5: Own.", "7: Far."]
        );
    }

    #[test]
    fn hash_comments_are_found_outside_of_quotes() {
        let code = "#!/bin/sh\n# One\n# two.\nx='# no' # After\ny=${z#no} \"$#\"";
        assert_eq!(flat("a.sh", code), ["4: After", "2: One two."]);
        assert_eq!(flat("a.py", "\"\"\"Text\n# no\n\"\"\"\n# Yes"), ["4: Yes"]);
    }
}
