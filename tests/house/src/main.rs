//! Prints what the checks see. `cargo run -p veltix-house -- --help` lists the commands.

#![allow(clippy::print_stdout, reason = "this program prints")]

use std::error::Error;
use std::path::Path;

use veltix_house::imports::{Crate, Imports};
use veltix_house::print;
use veltix_house::repository::Repository;

const USAGE: &str = "\
cargo run -p veltix-house -- [REPOSITORY]    prints the import graph of each crate of the repository";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let root =
        arguments.first().map_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), String::as_str);
    let repository = Repository::read(Path::new(root))?;
    for folder in repository.crates() {
        println!("{}", print::graph(&Imports::of(&Crate::parse(&repository, &folder))));
    }
    Ok(())
}
