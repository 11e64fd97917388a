//! [`Path`]: the way from a body to one of its parts.

use crate::limits::LOGGED_CHARS;

/// One step of a path.
#[derive(Debug)]
pub(super) enum Step {
    /// Names a field of a struct, or a variant of an enum.
    Field(&'static str),
    /// Counts the elements of an array before this one.
    Index(usize),
    /// Holds a key of a map, as JSON.
    Key(String),
}

/// A path lists its steps from the inside to the outside.
#[derive(Debug)]
pub(super) struct Path(Vec<Step>);

impl Path {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the step that leads to the beginning of the path.
    pub(super) fn wrap(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Returns the path as text, for example `answers[2].score`. Serde writes flattened fields as
    /// the keys of a map, so a key that looks like a name is shown like a field. Other keys may come
    /// from a peer, and are escaped. A long path is cut.
    pub(super) fn into_text(self) -> Box<str> {
        let mut text = String::new();
        for step in self.0.iter().rev() {
            let name = match step {
                Step::Field(name) => (*name).to_owned(),
                Step::Index(index) => format!("[{index}]"),
                Step::Key(key) => {
                    let key = serde_json::from_str(key).unwrap_or_else(|_| key.clone());
                    if is_name(&key) { key } else { format!("[{key:?}]") }
                }
            };
            if !text.is_empty() && !name.starts_with('[') {
                text.push('.');
            }
            text.push_str(&name);
            if text.chars().count() > LOGGED_CHARS {
                text = text.chars().take(LOGGED_CHARS).chain(['…']).collect();
                break;
            }
        }
        if text.is_empty() {
            text.push_str("the body");
        }
        text.into()
    }
}

/// Returns whether a key has the form of a field's name.
fn is_name(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
}
