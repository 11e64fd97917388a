//! The checks of the structure: import cycles, the roof, the number and the size of rooms and files.
//!
//! Each check returns one text for each problem that it finds.

use crate::house::House;
use crate::print::cycle_text;
use crate::rooms;

/// The facade, whose roof is all that it has.
const FACADE: &str = "src";
/// The crate whose rooms are counted and have rows in ARCHITECTURE.md.
const TOKIO: &str = "veltix-tokio/src";
/// The most rooms of `veltix-tokio`. A change that adds a room raises it and adds a row to ARCHITECTURE.md.
pub const MAX_ROOMS: usize = 29;
/// The most files of one room, test files not counted.
pub const MAX_FILES: usize = 20;
/// The most lines of a file.
pub const MAX_LINES: usize = 450;

/// Crates, and single rooms of crates, whose files import each other without cycles as well.
const WITHOUT_FILE_CYCLES: &[(&str, Option<&str>)] =
    &[("veltix-core/src", None), ("veltix-tokio/src", Some("outbox"))];

/// Finds cycles between rooms, and files that no module declares or that cannot be parsed.
pub fn room_cycles(house: &House) -> Vec<String> {
    let mut problems = Vec::new();
    for found in house.imports() {
        problems.extend(found.problems.iter().cloned());
        let graph = rooms::graph(found);
        for cycle in graph.cycles() {
            problems.push(format!("{}: {}", found.folder, cycle_text("rooms", &graph, &cycle)));
        }
    }
    problems
}

/// Finds cycles between the files of one room, in the crates and rooms that are free of them.
pub fn file_cycles(house: &House) -> Vec<String> {
    let mut problems = Vec::new();
    for found in house.imports() {
        let rooms = rooms::graph(found);
        for room in rooms.nodes() {
            let is_checked = WITHOUT_FILE_CYCLES.iter().any(|&(folder, only)| {
                found.folder == folder && only.is_none_or(|only| only == room)
            });
            if is_checked {
                let graph = rooms::graph_within(found, room);
                for cycle in graph.cycles() {
                    problems.push(format!(
                        "{}: {}",
                        found.folder,
                        cycle_text("files", &graph, &cycle)
                    ));
                }
            }
        }
    }
    problems
}

/// Finds imports of items that the roof defines or takes from another crate. The facade is exempt: its roof is
/// all that it has, and its pages link to it.
pub fn imports_from_roof(house: &House) -> Vec<String> {
    house
        .imports()
        .iter()
        .filter(|found| found.folder != FACADE)
        .flat_map(|found| {
            let lines = rooms::from_roof(found).into_iter();
            lines.map(|line| format!("{}: {line}", found.folder)).collect::<Vec<_>>()
        })
        .collect()
}

/// Finds too many rooms, too many files in one room, and rooms without a row in ARCHITECTURE.md.
pub fn rooms_of_tokio(house: &House) -> Vec<String> {
    let Some(found) = house.imports().iter().find(|found| found.folder == TOKIO) else {
        return vec![format!("{TOKIO}: no such crate")];
    };
    let graph = rooms::graph(found);
    let rows = rows(house.repository.text("ARCHITECTURE.md").unwrap_or_default());
    let mut problems = Vec::new();
    let count = graph.nodes().count();
    if count > MAX_ROOMS {
        problems.push(format!("{TOKIO}: {count} rooms, at most {MAX_ROOMS}"));
    }
    for room in graph.nodes() {
        let files = rooms::files_in(found, room);
        if files > MAX_FILES {
            problems.push(format!("{TOKIO}/{room}: {files} files, at most {MAX_FILES}"));
        }
        if !rows.iter().any(|row| row == room) {
            problems.push(format!(
                "ARCHITECTURE.md: no row of the code map begins with \"| `{room}` \""
            ));
        }
    }
    problems
}

/// Returns the names in backticks in the first cell of each table row.
fn rows(text: &str) -> Vec<String> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    cells
        .flat_map(|cell| {
            cell.split('`').step_by(2).map(|name| name.trim_end_matches('/').to_owned())
        })
        .collect()
}

/// Finds Rust files that are too long.
pub fn long_files(house: &House) -> Vec<String> {
    house
        .repository
        .files()
        .filter(|(path, _)| path.ends_with(".rs"))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines, at most {MAX_LINES}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_with_names_of_rooms() {
        let text = "| room | content |\n|---|---|\n| `outbox` | a queue of `frames` |\n| `log/`, `tls` | x |";
        assert_eq!(rows(text), ["outbox", "log", "tls"]);
    }

    #[test]
    fn missing_rows_and_crowded_rooms_are_found() {
        let modules: Vec<_> = (0..21).map(|at| format!("mod m{at};")).collect();
        let paths: Vec<_> = (0..21).map(|at| format!("{TOKIO}/big/m{at}.rs")).collect();
        let root = modules.concat();
        let mut files = vec![
            ("ARCHITECTURE.md", "| `small` | it |"),
            ("veltix-tokio/src/lib.rs", "mod big; mod small;"),
            ("veltix-tokio/src/small.rs", ""),
            ("veltix-tokio/src/big/mod.rs", root.as_str()),
        ];
        files.extend(paths.iter().map(|path| (path.as_str(), "")));
        assert_eq!(
            rooms_of_tokio(&House::of(&files)),
            [
                "veltix-tokio/src/big: 22 files, at most 20",
                "ARCHITECTURE.md: no row of the code map begins with \"| `big` \"",
            ]
        );
    }

    #[test]
    fn long_files_are_found() {
        let text = "\n".repeat(451);
        let house = House::of(&[("tests/a.rs", &text), ("tests/b.rs", &text[1..])]);
        assert_eq!(long_files(&house), ["tests/a.rs: 451 lines, at most 450"]);
    }
}
