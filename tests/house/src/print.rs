//! The import graph as text.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use crate::graph::Graph;
use crate::imports::{Import, Imports};
use crate::rooms;

/// Returns one line of figures about a crate.
pub fn summary(found: &Imports) -> String {
    let graph = rooms::graph(found);
    let cycles = graph.cycles();
    let in_cycles: usize = cycles.iter().map(BTreeSet::len).sum();
    format!(
        "{}: {} rooms, {} arrows, {in_cycles} rooms in cycles, {} files",
        found.folder,
        graph.nodes().count(),
        graph.arrows().count(),
        found.files.len(),
    )
}

/// Returns the graph of a crate as text: the figures, the rooms from the top down, the cycles.
pub fn graph(found: &Imports) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = write_graph(&mut text, found);
    text
}

fn write_graph(text: &mut String, found: &Imports) -> fmt::Result {
    let graph = rooms::graph(found);
    let cycles = graph.cycles();
    let in_cycle: BTreeSet<_> = cycles.iter().flatten().copied().collect();
    writeln!(text, "{}", summary(found))?;
    for (layer, rooms) in graph.layers().into_iter().enumerate() {
        for room in rooms {
            let mark = if in_cycle.contains(room) { "*" } else { " " };
            let targets: Vec<_> = graph.targets(room).collect();
            let targets =
                if targets.is_empty() { "nothing".to_owned() } else { targets.join(", ") };
            let files = rooms::files_in(found, room);
            writeln!(text, "  {:2} {mark} {room} ({files}) -> {targets}", layer + 1)?;
        }
    }
    for problem in &found.problems {
        writeln!(text, "  {problem}")?;
    }
    for cycle in &cycles {
        writeln!(text, "  {}", cycle_text("rooms", &graph, cycle))?;
    }
    for line in rooms::from_roof(found) {
        writeln!(text, "  from the roof: {line}")?;
    }
    for room in graph.nodes() {
        let inside = rooms::graph_within(found, room);
        for cycle in inside.cycles() {
            writeln!(text, "  {room}: {}", cycle_text("files", &inside, &cycle))?;
        }
    }
    Ok(())
}

/// Returns a cycle as text: its members, a shortest way around with the names that are imported, and the
/// arrows without which no cycle is left.
pub fn cycle_text(kind: &str, graph: &Graph<&Import>, cycle: &BTreeSet<&str>) -> String {
    let mut text = String::new();
    _ = write_cycle(&mut text, kind, graph, cycle);
    text
}

fn write_cycle(
    text: &mut String,
    kind: &str,
    graph: &Graph<&Import>,
    cycle: &BTreeSet<&str>,
) -> fmt::Result {
    let nodes: Vec<_> = cycle.iter().copied().collect();
    write!(text, "cycle of {} {kind}: {}", nodes.len(), nodes.join(", "))?;
    let shortest = graph.shortest_cycle(cycle);
    write!(text, "\n    the shortest way around:")?;
    for (at, from) in shortest.iter().enumerate() {
        write_imports(text, graph, from, shortest[(at + 1) % shortest.len()])?;
    }
    write!(text, "\n    no cycle is left without these arrows:")?;
    for (from, to) in graph.to_cut(cycle) {
        write!(text, "\n      {from} -> {to}")?;
        if from.ends_with(".rs") {
            let names: Vec<_> =
                graph.reasons(from, to).iter().map(|import| import.name.as_str()).collect();
            write!(text, ": {}", names.join(", "))?;
        } else {
            write_imports(text, graph, from, to)?;
        }
    }
    Ok(())
}

fn write_imports(text: &mut String, graph: &Graph<&Import>, from: &str, to: &str) -> fmt::Result {
    for line in rooms::lines(graph.reasons(from, to).iter().copied()) {
        write!(text, "\n        {line}")?;
    }
    Ok(())
}
