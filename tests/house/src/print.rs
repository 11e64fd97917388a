//! The import graph as text.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use crate::graph::Graph;
use crate::imports::{Import, Imports};
use crate::rooms;

/// Returns the graph of a crate as text: a summary, the rooms from the top down, the cycles.
pub fn graph(found: &Imports) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = write_graph(&mut text, found);
    text
}

fn write_graph(text: &mut String, found: &Imports) -> fmt::Result {
    let graph = rooms::graph(found);
    let cycles = graph.cycles();
    let in_cycles: usize = cycles.iter().map(BTreeSet::len).sum();
    writeln!(
        text,
        "{}: {} rooms, {} arrows, {} rooms in {} cycles, {} files",
        found.folder,
        graph.nodes().count(),
        graph.arrows().count(),
        in_cycles,
        cycles.len(),
        found.files.len(),
    )?;
    for problem in &found.problems {
        writeln!(text, "  problem: {problem}")?;
    }
    let all: BTreeSet<_> = cycles.iter().flatten().copied().collect();
    for layer in graph.layers() {
        for room in layer {
            let mark = if all.contains(room) { "*" } else { " " };
            let targets: Vec<_> = graph.targets(room).collect();
            let targets =
                if targets.is_empty() { "nothing".to_owned() } else { targets.join(", ") };
            let files = files_in(found, room);
            writeln!(text, "  {mark} {room} ({files}) -> {targets}")?;
        }
    }
    for cycle in &cycles {
        write_cycle(text, "rooms", &graph, cycle)?;
    }
    for line in rooms::from_roof(found) {
        writeln!(text, "  from the roof: {line}")?;
    }
    for room in graph.nodes() {
        let inside = rooms::graph_within(found, room);
        for cycle in inside.cycles() {
            write_cycle(text, "files", &inside, &cycle)?;
        }
    }
    Ok(())
}

/// Returns the number of files in a room, without test files.
pub fn files_in(found: &Imports, room: &str) -> usize {
    found.files.iter().filter(|file| !rooms::is_roof(file) && rooms::room_of(file) == room).count()
}

fn write_cycle(
    text: &mut String,
    kind: &str,
    graph: &Graph<&Import>,
    cycle: &BTreeSet<&str>,
) -> fmt::Result {
    let nodes: Vec<_> = cycle.iter().copied().collect();
    writeln!(text, "  cycle of {} {kind}: {}", nodes.len(), nodes.join(", "))?;
    let shortest = graph.shortest_cycle(cycle);
    writeln!(text, "    the shortest way around:")?;
    for (at, from) in shortest.iter().enumerate() {
        let to = shortest[(at + 1) % shortest.len()];
        for line in rooms::lines(graph.reasons(from, to).iter().copied()) {
            writeln!(text, "      {line}")?;
        }
    }
    writeln!(text, "    no cycle would be left without:")?;
    for (from, to) in graph.to_cut(cycle) {
        writeln!(text, "      {from} -> {to}")?;
        for line in rooms::lines(graph.reasons(from, to).iter().copied()) {
            writeln!(text, "        {line}")?;
        }
    }
    Ok(())
}
