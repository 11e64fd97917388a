//! Prints what the checks see. `cargo run -p veltix-house -- --help` lists the commands.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use veltix_house::house::House;
use veltix_house::imports::Imports;
use veltix_house::{CHECKS, print, prose, rooms, surface};

const USAGE: &str = "\
cargo run -p veltix-house -- [COMMAND] [REPOSITORY] [PATH]

The repository is this one by default. The commands are:

graph     (the default) the import graph of each crate: rooms from the top down, each with its layer, its
          number of files and its imports (a star marks rooms in a cycle); then the cycles, and the
          imports that make them. PATH prints one crate, such as veltix-tokio/src.
imports   each import of all crates, or of the crate PATH: importing file, defining file, names
prose     the sentences that begin with What, Who, Where or the like: their number in each folder, and a
          list of those in files whose path begins with PATH
surface   the names that the facade exports flat
check     all checks, with their problems
";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let is_command = |argument: &String| {
        ["graph", "imports", "prose", "surface", "check", "--help"].contains(&argument.as_str())
    };
    let command = arguments.next_if(is_command).unwrap_or_else(|| "graph".to_owned());
    let root = arguments
        .next()
        .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../..").to_owned());
    let only = arguments.next().unwrap_or_default();
    let house = House::read(Path::new(&root)).map_err(|error| format!("{root}: {error}"))?;
    let crates = || {
        let is_meant = |imports: &&Imports| only.is_empty() || imports.folder == only;
        house.imports().iter().filter(is_meant).collect::<Vec<_>>()
    };
    let mut failed = 0;
    let text = match command.as_str() {
        "--help" => USAGE.to_owned(),
        "imports" => rooms::lines(crates().into_iter().flat_map(|found| &found.imports)).join("\n"),
        "prose" => prose::report(&house.repository, &only),
        "surface" => {
            let found = surface::surface(&house.repository)?;
            let (names, modules) = (found.names.len(), found.modules.len());
            format!("{names} names: {:?}\n{modules} modules: {:?}", found.names, found.modules)
        }
        "check" => check(&house, &mut failed),
        _ => graph(&crates()),
    };
    // A reader such as `head` may close the pipe before the end.
    _ = writeln!(io::stdout(), "{text}");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn graph(crates: &[&Imports]) -> String {
    let mut parts: Vec<_> = crates.iter().map(|imports| print::summary(imports)).collect();
    parts.extend(crates.iter().map(|imports| format!("\n{}", print::graph(imports))));
    parts.join("\n")
}

fn check(house: &House, failed: &mut usize) -> String {
    let mut lines = Vec::new();
    for (name, check) in CHECKS {
        let problems = check(house);
        let state = if problems.is_empty() { "holds" } else { "FAILS" };
        lines.push(format!("{state}: {name}"));
        lines.extend(problems.iter().map(|problem| format!("  {problem}")));
        *failed += usize::from(!problems.is_empty());
    }
    lines.push(format!("{failed} of {} checks fail", CHECKS.len()));
    lines.join("\n")
}
