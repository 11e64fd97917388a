//! The parts of the repository, each with the number of openings that it may have.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::blocks::of_file;
use super::openings::{Kind, Opening, openings};
use super::sentences::sentences;
use crate::house::House;
use crate::repository::Repository;

/// A part of the repository.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// The name in reports.
    pub name: &'static str,
    /// Files and folders; `*` stands for any name.
    paths: &'static [&'static str],
    /// The most openings, questions and conditions included; none if they are only counted.
    openings: Option<usize>,
    /// The most measures ("so many"); none if they are only counted.
    measures: Option<usize>,
}

/// A sentence of a file.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The path of the file.
    pub path: String,
    /// The line on which the sentence begins.
    pub line: usize,
    /// The words and their use.
    pub opening: Opening,
    /// The sentence.
    pub sentence: String,
}

/// Returns the parts of the repository.
pub fn trees() -> &'static [Tree] {
    &[
        Tree {
            name: "sources",
            paths: &[
                "veltix-core/src",
                "veltix-tokio/src",
                "veltix-macros/src",
                "veltix-cluster/src",
                "veltix-inspect/src",
                "src",
                "benches/*/src",
            ],
            openings: Some(14),
            measures: Some(0),
        },
        Tree {
            name: "pages",
            paths: &[
                "README.md",
                "ARCHITECTURE.md",
                "PROTOCOL.md",
                "PERFORMANCE.md",
                "SECURITY.md",
                "CONTRIBUTING.md",
            ],
            openings: Some(6),
            measures: Some(0),
        },
        Tree { name: "docs", paths: &["docs"], openings: Some(6), measures: Some(0) },
        Tree { name: "examples", paths: &["examples"], openings: Some(3), measures: Some(0) },
        Tree { name: "tests", paths: &["tests", "fuzz"], openings: None, measures: None },
        // Manifests, scripts, the changelog.
        Tree { name: "others", paths: &["*"], openings: Some(6), measures: Some(0) },
    ]
}

/// Returns the first part that has the file at `path`.
fn tree_of(path: &str) -> Option<&'static Tree> {
    trees().iter().find(|tree| tree.paths.iter().any(|pattern| is_below(path, pattern)))
}

/// Returns whether `path` is `pattern` or below it.
fn is_below(path: &str, pattern: &str) -> bool {
    let mut parts = path.split('/');
    pattern
        .split('/')
        .all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
}

/// Returns all openings and measures in the files of a tree.
pub fn count(repository: &Repository, tree: &Tree) -> Vec<Hit> {
    let mut hits = Vec::new();
    let is_in = |path| tree_of(path).is_some_and(|found| found.name == tree.name);
    for (path, text) in repository.files().filter(|(path, _)| is_in(path)) {
        for sentence in of_file(path, text).iter().flat_map(sentences) {
            hits.extend(openings(&sentence.text).into_iter().map(|opening| Hit {
                path: path.to_owned(),
                line: sentence.line,
                opening,
                sentence: sentence.text.clone(),
            }));
        }
    }
    hits
}

/// Returns one text for each limit that is exceeded, with all sentences.
pub fn over_limit(house: &House) -> Vec<String> {
    let repository = &house.repository;
    let mut problems = Vec::new();
    for tree in trees() {
        let (measures, openings): (Vec<_>, Vec<_>) =
            count(repository, tree).into_iter().partition(|hit| hit.opening.kind == Kind::Measure);
        for (hits, limit, form) in [
            (openings, tree.openings, "sentences that begin with What, Who, Where or the like"),
            (measures, tree.measures, "times \"so long\", \"so many\" or \"so much\" for a number"),
        ] {
            if limit.is_some_and(|limit| hits.len() > limit) {
                let most = limit.unwrap_or_default();
                let mut text = format!("{}: {} {form}, at most {most}", tree.name, hits.len());
                for hit in hits {
                    _ = write!(text, "\n  {}", line(&hit));
                }
                problems.push(text);
            }
        }
    }
    problems
}

/// Returns the counts of each folder as a table, and behind it all sentences of files whose path begins with
/// `only`.
pub fn report(repository: &Repository, only: &str) -> String {
    let mut text = String::from("subjects  conditions  questions  so many  folder\n");
    let mut list = String::new();
    for tree in trees() {
        let hits = count(repository, tree);
        let mut folders = BTreeMap::<_, Vec<_>>::new();
        for hit in &hits {
            folders.entry(folder_of(&hit.path)).or_default().push(hit);
            if hit.path.starts_with(only) {
                _ = writeln!(list, "{}", line(hit));
            }
        }
        _ = writeln!(text, "{}", row(hits.iter(), &format!("{}, in all", tree.name)));
        if folders.len() > 1 {
            for (folder, hits) in folders {
                _ = writeln!(text, "{}", row(hits.into_iter(), &format!("  {folder}")));
            }
        }
    }
    text + "\n" + &list
}

/// Returns the folder under which a file is counted.
fn folder_of(path: &str) -> &str {
    let depth = if path.starts_with("benches/") { 3 } else { 2 };
    let end =
        path.match_indices('/').nth(depth - 1).or_else(|| path.match_indices('/').next_back());
    end.map_or(path, |(at, _)| &path[..at])
}

fn row<'a>(hits: impl Iterator<Item = &'a Hit> + Clone, name: &str) -> String {
    let of = |kind| hits.clone().filter(|hit| hit.opening.kind == kind).count();
    let [subjects, conditions, questions, measures] =
        [Kind::Subject, Kind::Condition, Kind::Question, Kind::Measure].map(of);
    format!("{subjects:8}  {conditions:10}  {questions:9}  {measures:7}  {name}")
}

fn line(hit: &Hit) -> String {
    format!("{}:{}: {}", hit.path, hit.line, hit.sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_have_their_files() {
        assert!(is_below("benches/load/src/cli.rs", "benches/*/src"));
        assert!(!is_below("benches/load/tests/run.rs", "benches/*/src"));
        assert!(is_below("README.md", "README.md"));
        assert!(!is_below("srcs/a.rs", "src"));
    }

    #[test]
    fn a_tree_over_its_limit_is_found_with_its_lines() {
        let comment = "/// It is here. What is\n/// left. Whoever came.\n".repeat(8);
        let files = [
            ("src/a.rs", comment.as_str()),
            ("examples/a.rs", "// Where to?"),
            ("docs/a.md", "So many are."),
        ];
        let problems = over_limit(&House::of(&files));
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].starts_with("sources: 16 sentences that begin with What"),
            "{problems:?}"
        );
        assert!(problems[0].contains("\n  src/a.rs:1: What is left.\n  src/a.rs:2: Whoever came."));
        assert_eq!(
            problems[1],
            "docs: 1 times \"so long\", \"so many\" or \"so much\" for a number, at most 0\n  docs/a.md:1: So many are."
        );
    }
}
