//! The check of names in code: words that were replaced by the field's own must not come back.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Macro, Meta};

use crate::house::House;
use crate::imports::Crate;

/// Names that are replaced as a whole, each with the standard term.
const NAMES: &[(&str, &str)] = &[
    ("Run", "SharedBatch, a shared batch"),
    ("Held", "SlowPoll, a slow poll"),
    ("CodeLog", "a rate-limited log"),
    ("code_log", "a rate-limited log"),
    ("LogPace", "a rate-limited log"),
    ("log_pace", "a rate-limited log"),
    ("Spare", "future pool"),
    ("spare", "future pool, or the name of the spare thing"),
    ("Parallel", "Concurrent"),
    ("parallel", "concurrent"),
    ("Arrival", "MessageRef"),
    ("Burst", "FrameBatch"),
    ("Flight", "PendingWrite"),
    ("flight", "pending write"),
    ("take_off", "begin"),
    ("fly", "write"),
    ("land", "finish"),
    ("abandon", "cancel"),
    ("Taken", "Written"),
    ("Over", "CompletedCall, or Ended for the end of a stream"),
    ("is_calm", "can_dispatch_directly"),
];

/// Words that no name contains, each with the standard term.
const WORDS: &[(&str, &str)] = &[
    ("deferral", "cork"),
    ("recycled", "pooled future"),
    ("starved", "memory wait"),
    ("settle", "complete (a call), record (written bytes), assign (a code)"),
    ("hellos", "hello cache"),
    ("lane", "serial"),
    ("glance", "status"),
    ("asker", "ReplySink"),
];

/// Names that contain one of these words and stay: public names that the table does not replace.
const KEPT: &[&str] = &[
    // `TestServer::settle` of the test kit.
    "settle",
];

/// The crates whose names are checked.
const FOLDERS: &[&str] =
    &["veltix-core/src", "veltix-tokio/src", "veltix-macros/src", "veltix-cluster/src"];

/// Finds names that were replaced, outside of test code: one problem for each name of a file, with its lines.
pub fn problems(house: &House) -> Vec<String> {
    let repository = &house.repository;
    let mut problems = Vec::new();
    for folder in FOLDERS {
        let tree = Crate::parse(repository, folder);
        let mut found = BTreeMap::<_, BTreeSet<usize>>::new();
        for code in tree.code() {
            let mut reader = Names::default();
            for item in code.items {
                reader.visit_item(item);
            }
            reader.found.extend(code.names);
            for (name, line) in reader.found {
                found.entry((code.path, name)).or_default().insert(line);
            }
        }
        for ((path, name), lines) in found {
            if let Some(instead) = replacement(&name) {
                let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
                let lines = lines.join(", ");
                problems
                    .push(format!("{folder}/{path}:{lines}: `{name}` is replaced by: {instead}"));
            }
        }
    }
    problems
}

/// Returns the term for a name that is replaced.
fn replacement(name: &str) -> Option<&'static str> {
    if KEPT.contains(&name) {
        return None;
    }
    let whole = NAMES.iter().find(|(banned, _)| *banned == name);
    let part = || WORDS.iter().find(|(banned, _)| words(name).iter().any(|word| word == banned));
    whole.or_else(part).map(|(_, instead)| *instead)
}

/// Splits a name into its words, in small letters: `HelloCache` and `hello_cache` alike.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c != '_') {
            word.extend(c.to_lowercase());
        }
        was_small = c.is_lowercase() || c.is_ascii_digit();
    }
    words
}

/// The identifiers of some code, each with its line.
#[derive(Debug, Default)]
struct Names {
    found: BTreeSet<(String, usize)>,
}

impl Names {
    fn add_tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Ident(name) => self.visit_ident(&name),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_ident(&mut self, name: &'ast Ident) {
        self.found.insert((name.to_string(), name.span().start().line));
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        self.add_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_words() {
        assert_eq!(words("HelloCache"), ["hello", "cache"]);
        assert_eq!(words("is_in_lane"), ["is", "in", "lane"]);
        assert_eq!(words("MAX_LANE2"), ["max", "lane2"]);
    }

    #[test]
    fn replaced_names_are_found_outside_of_tests() {
        let code = "mod lane;
struct Flight { spare_boxes: u8, flights: u8, planes: u8 }
fn planes() { select! { x = self.lane.take() => {} } }
#[cfg(test)] mod tests { fn land() {} }";
        let found = problems(&House::of(&[
            ("veltix-tokio/src/lib.rs", code),
            ("veltix-tokio/src/lane.rs", "use crate::Flight as Fly; /// Lane.\n// lane\nfn f() {}"),
        ]));
        assert_eq!(
            found,
            [
                "veltix-tokio/src/lane.rs:1: `Flight` is replaced by: PendingWrite",
                "veltix-tokio/src/lib.rs:2: `Flight` is replaced by: PendingWrite",
                "veltix-tokio/src/lib.rs:1, 3: `lane` is replaced by: serial",
            ]
        );
    }
}
