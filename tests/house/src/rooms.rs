//! Rooms: the files and folders directly below a crate's sources.

use crate::graph::Graph;
use crate::imports::{Import, Imports};

/// Returns the room of a file: its first folder, or its own name without `.rs`.
pub fn room_of(path: &str) -> &str {
    path.split_once('/').map_or_else(|| path.trim_end_matches(".rs"), |(folder, _)| folder)
}

/// Returns whether the file is the roof of its crate. The roof may import from each room; no room may import
/// from it.
pub fn is_roof(path: &str) -> bool {
    path == "lib.rs" || path == "main.rs"
}

/// Returns the graph of a crate's rooms, without the roof.
pub fn graph(found: &Imports) -> Graph<&Import> {
    let rooms =
        found.files.iter().filter(|file| !is_roof(file)).map(|file| room_of(file).to_owned());
    let mut graph = Graph::new(rooms);
    for import in
        found.imports.iter().filter(|import| !is_roof(&import.from) && !is_roof(&import.to))
    {
        graph.add(room_of(&import.from), room_of(&import.to), import);
    }
    graph
}

/// Returns the graph of the files in one room. A module that only passes on the names of the modules in it
/// does not import them.
pub fn graph_within<'a>(found: &'a Imports, room: &str) -> Graph<&'a Import> {
    let is_inside = |path: &str| !is_roof(path) && room_of(path) == room;
    let files = found.files.iter().filter(|file| is_inside(file)).cloned();
    let mut graph = Graph::new(files);
    let inside = |import: &&Import| is_inside(&import.from) && is_inside(&import.to);
    for import in found.imports.iter().filter(inside).filter(|import| !import.is_listing) {
        graph.add(&import.from, &import.to, import);
    }
    graph
}

/// Returns the number of files in a room, without test files.
pub fn files_in(found: &Imports, room: &str) -> usize {
    found.files.iter().filter(|file| !is_roof(file) && room_of(file) == room).count()
}

/// Returns the imports of rooms from the roof of their crate, each as a line.
pub fn from_roof(found: &Imports) -> Vec<String> {
    let mut lines = lines(found.imports.iter().filter(|import| is_roof(&import.to)));
    for (from, name) in &found.by_roof {
        lines.push(format!("{from} -> another crate by way of the roof: {name}"));
    }
    lines
}

/// Returns one line for each pair of files, with all names: `a/x.rs -> b/y.rs: Name, Other`.
pub fn lines<'a>(imports: impl IntoIterator<Item = &'a Import>) -> Vec<String> {
    let mut pairs = std::collections::BTreeMap::<_, Vec<&str>>::new();
    for import in imports {
        pairs.entry((&import.from, &import.to)).or_default().push(&import.name);
    }
    pairs
        .into_iter()
        .map(|((from, to), names)| format!("{from} -> {to}: {}", names.join(", ")))
        .collect()
}
