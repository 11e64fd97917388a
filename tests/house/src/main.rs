//! Prints what the checks see. `cargo run -p veltix-house -- --help` lists the commands.

#![allow(clippy::print_stdout, reason = "this program prints")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use veltix_house::repository::Repository;
use veltix_house::{CHECKS, print, prose, structure, surface};

const USAGE: &str = "\
cargo run -p veltix-house -- [COMMAND] [REPOSITORY] [PATH]

The repository is this one by default. The commands are:

graph     (the default) the import graph of each crate: rooms from the top down, each with its layer, its
          number of files and its imports (a star marks rooms in a cycle); then the cycles, and the
          imports that make them. PATH prints one crate, such as veltix-tokio/src.
imports   each import of the crate PATH: importing file, defining file, names
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
    if command == "--help" {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let repository =
        Repository::read(Path::new(&root)).map_err(|error| format!("{root}: {error}"))?;
    match command.as_str() {
        "prose" => println!("{}", prose::report(&repository, &only)),
        "surface" => {
            let surface = surface::surface(&repository)?;
            println!("{} names: {:?}", surface.names.len(), surface.names);
            println!("{} modules: {:?}", surface.modules.len(), surface.modules);
        }
        "check" => return Ok(check(&repository)),
        "imports" => {
            for imports in structure::imports(&repository) {
                if imports.folder == only {
                    println!("{}", veltix_house::rooms::lines(&imports.imports).join("\n"));
                }
            }
        }
        _ => graph(&repository, &only),
    }
    Ok(ExitCode::SUCCESS)
}

fn graph(repository: &Repository, only: &str) {
    let all = structure::imports(repository);
    let found: Vec<_> =
        all.iter().filter(|imports| only.is_empty() || imports.folder == only).collect();
    for imports in &found {
        println!("{}", print::summary(imports));
    }
    for imports in &found {
        println!("\n{}", print::graph(imports));
    }
}

fn check(repository: &Repository) -> ExitCode {
    let mut failed = 0;
    for (name, check) in CHECKS {
        let problems = check(repository);
        let state = if problems.is_empty() { "holds" } else { "FAILS" };
        println!("{state}: {name}");
        for problem in &problems {
            println!("  {problem}");
        }
        failed += usize::from(!problems.is_empty());
    }
    println!("{failed} of {} checks fail", CHECKS.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
