//! The check of doc examples: a user copies them, and has the crate `veltix` alone. An example on an item
//! that the facade does not re-export names the item's own crate, and every other item by the facade.

use std::collections::BTreeSet;

use crate::comments::comments;
use crate::house::House;
use crate::imports::Crate;
use crate::repository::Repository;

/// The crates whose items the facade re-exports.
const CRATES: &[&str] =
    &["veltix-cluster", "veltix-core", "veltix-inspect", "veltix-tokio", "veltix-macros"];
/// Names that a user's manifest does not have.
const FOREIGN: &[&str] = &["veltix_cluster", "veltix_core", "veltix_tokio", "veltix_macros"];

/// Finds lines of doc examples that name another crate than `veltix`, and manifests whose
/// dev-dependency on `veltix` keeps a crate from being published.
pub fn problems(house: &House) -> Vec<String> {
    let repository = &house.repository;
    let mut problems = Vec::new();
    let exported = exported(repository);
    for folder in CRATES {
        let mut uses_facade = false;
        for (path, line, text) in example_lines(repository, folder) {
            let is_of_user = |name: &&&str| {
                let items = items_of(&text, name);
                // The facade may re-export a whole crate.
                let mut names = items.iter().map(String::as_str).chain([**name]);
                items.is_empty() || names.any(|name| exported.contains(name))
            };
            let named = FOREIGN.iter().filter(|name| has_name(&text, name));
            for name in named.filter(is_of_user) {
                problems.push(format!(
                    "{path}:{line}: the example names `{name}`, a user has `veltix`"
                ));
            }
            uses_facade |= has_name(&text, "veltix");
        }
        let manifest = format!("{folder}/Cargo.toml");
        let text = repository.text(&manifest).unwrap_or_default();
        problems
            .extend(dependency_problem(text, uses_facade).map(|why| format!("{manifest}: {why}")));
    }
    problems
}

/// Returns the names that the facade re-exports, in all of its modules: those of items, and of whole crates.
fn exported(repository: &Repository) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, text) in repository.below("src").filter(|(path, _)| path.ends_with(".rs")) {
        let Ok(file) = syn::parse_file(text) else { continue };
        for item in &file.items {
            if let syn::Item::Use(item) = item
                && matches!(item.vis, syn::Visibility::Public(_))
            {
                let of_use = Crate::names_of(item).into_iter();
                names.extend(of_use.filter_map(|(path, name)| match &path[..] {
                    [of_crate] => Some(of_crate.clone()),
                    _ => name,
                }));
            }
        }
    }
    names
}

/// Returns the items that a line takes from this crate: those of `name::Item` and of `name::{Item, Item}`.
fn items_of(line: &str, name: &str) -> Vec<String> {
    let mut items = Vec::new();
    for rest in line.split(&format!("{name}::")).skip(1) {
        let list = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => {
                rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
            }
        };
        items
            .extend(list.split(',').map(|item| item.trim().to_owned()).filter(|it| !it.is_empty()));
    }
    items
}

/// Returns the lines of all doc examples of a crate: file, line and text. Its pages count, and pages
/// elsewhere that it includes.
fn example_lines(repository: &Repository, folder: &str) -> Vec<(String, usize, String)> {
    let mut examples = Vec::new();
    let own = repository.below(folder);
    let included: BTreeSet<_> = own.flat_map(|(path, text)| included_pages(path, text)).collect();
    let inside = format!("{folder}/");
    let is_read = |path: &str| path.starts_with(&inside) || included.contains(path);
    for (path, text) in repository.files().filter(|(path, _)| is_read(path)) {
        let lines: Vec<(usize, String)> = if path.ends_with(".md") {
            text.lines().enumerate().map(|(at, line)| (at + 1, line.to_owned())).collect()
        } else if path.ends_with(".rs") {
            let docs = comments(text).into_iter().filter(|comment| comment.is_doc);
            docs.map(|comment| (comment.line, comment.text)).collect()
        } else {
            continue;
        };
        let (mut fence, mut before) = (None, 0);
        for (number, line) in lines {
            // A block ends with its comment, whether it was closed or not.
            if number > before + 1 {
                fence = None;
            }
            before = number;
            let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
            match (fence, mark) {
                (None, Some(_)) => fence = mark,
                (Some(open), Some(mark)) if open == mark => fence = None,
                (Some(_), _) => examples.push((path.to_owned(), number, line)),
                (None, None) => {}
            }
        }
    }
    examples
}

/// Returns the paths of the pages that a Rust file includes with `include_str!`.
fn included_pages(path: &str, text: &str) -> Vec<String> {
    let arguments = text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let pages = arguments.filter(|page| page.ends_with(".md"));
    pages
        .map(|page| {
            let mut parts: Vec<_> = path.split('/').collect();
            parts.pop();
            for part in page.split('/') {
                if part == ".." {
                    parts.pop();
                } else {
                    parts.push(part);
                }
            }
            parts.join("/")
        })
        .collect()
}

/// Returns whether `text` has `name` as a whole identifier in front of `::`, `;` or ` as `.
fn has_name(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let behind = &text[at + name.len()..];
        let goes_on = ["::", ";", " as "].iter().any(|mark| behind.starts_with(mark));
        !text[..at].ends_with(is_part) && goes_on
    })
}

/// Returns what is wrong with the dev-dependency on `veltix`: it must be there for the examples, by its path
/// alone. Cargo removes such a dependency from a published crate; with a version, the crates would need each
/// other in the registry.
fn dependency_problem(manifest: &str, is_needed: bool) -> Option<&'static str> {
    let mut section = "";
    let mut found = None;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let is_named = line.split(['=', '.']).next().is_some_and(|name| name.trim() == "veltix");
        if section == "[dev-dependencies]" && is_named {
            found = Some(line.to_owned());
        } else if section == "[dev-dependencies.veltix]" && line != section {
            found = Some(found.unwrap_or_default() + line);
        }
    }
    match found {
        None if is_needed => {
            Some("its examples need `veltix = { path = \"..\" }` in [dev-dependencies]")
        }
        None => None,
        Some(line) if !line.contains("path") => {
            Some("the dev-dependency on `veltix` needs a path: `veltix = { path = \"..\" }`")
        }
        Some(line) if line.contains("version") || line.contains("workspace") => Some(
            "the dev-dependency on `veltix` must not have a version, or the crate cannot be published",
        ),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_in_examples_are_found() {
        let code = "#![doc = include_str!(\"../../docs/b.md\")]
//! Of `veltix_tokio::Hub`.
//!
//! ```
//! # use veltix_core::Rate;
//! let all = veltix_tokio::all();
//! ```
use veltix_core::limits;
// ```
// veltix_core::f()
fn f() {}";
        let page = "Text of veltix_macros::x.\n\n```rust\nuse veltix_macros as macros;\n```\n";
        let found = problems(&House::of(&[
            ("veltix-tokio/src/lib.rs", code),
            ("veltix-core/src/docs/a.md", page),
            ("docs/b.md", page),
            ("docs/c.md", page),
            ("veltix-cluster/src/lib.rs", "//! ```\n//! use veltix_cluster::Any;\n//! ```\n"),
            (
                "src/lib.rs",
                "pub use veltix_core::{Rate, limits}; pub use veltix_tokio::all; pub use veltix_cluster as cluster;",
            ),
        ]));
        assert_eq!(
            found,
            [
                "veltix-cluster/src/lib.rs:2: the example names `veltix_cluster`, a user has `veltix`",
                "veltix-core/src/docs/a.md:4: the example names `veltix_macros`, a user has `veltix`",
                "docs/b.md:4: the example names `veltix_macros`, a user has `veltix`",
                "veltix-tokio/src/lib.rs:5: the example names `veltix_core`, a user has `veltix`",
                "veltix-tokio/src/lib.rs:6: the example names `veltix_tokio`, a user has `veltix`",
            ]
        );
    }

    #[test]
    fn the_dependency_for_examples_has_a_path_and_no_version() {
        let problem = |line: &str| {
            dependency_problem(
                &format!("[dependencies]\nveltix-x = 1\n[dev-dependencies]\n{line}\n"),
                true,
            )
        };
        assert_eq!(problem("veltix = { path = \"..\", features = [\"testing\"] }"), None);
        assert!(problem("veltix.workspace = true").unwrap().contains("needs a path"));
        assert!(
            problem("veltix = { path = \"..\", version = \"1\" }").unwrap().contains("version")
        );
        assert!(problem("veltix-core = { path = \"..\" }").unwrap().contains("its examples need"));
        assert_eq!(dependency_problem("[dev-dependencies.veltix]\npath = \"..\"\n", true), None);
        assert_eq!(dependency_problem("", false), None);
    }
}
