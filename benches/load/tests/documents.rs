//! The documents show the recorded figures.

use std::path::Path;

/// Reads a file of the repository.
fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_recorded_headline_is_in_the_documents() {
    let recorded = read("docs/performance/headline.md");
    let rows: Vec<_> = recorded.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 7, "five figures below a heading of two lines");
    assert!(read("PERFORMANCE.md").contains(recorded.trim_end()), "PERFORMANCE.md has another one");
    // The README shows the same rows, or none.
    let readme = read("README.md");
    for figure in &rows[2..] {
        let (name, _) = figure[2..].split_once(" |").expect("a row has cells");
        if readme.contains(name) {
            assert!(readme.contains(figure), "README.md has other values of {name}");
        }
    }
}

#[test]
fn no_workload_stands_in_the_documents_by_its_code_alone() {
    for file in ["PERFORMANCE.md", "docs/performance/report.md", "docs/performance/growth.md"] {
        for line in read(file).lines().filter(|line| line.starts_with("| ")) {
            let cell = line[2..].split(" |").next().unwrap_or_default();
            let is_code =
                cell.starts_with('W') && cell[1..].starts_with(|c: char| c.is_ascii_digit());
            assert!(!is_code && !cell.starts_with("own_"), "{file}: {line}");
        }
    }
}
