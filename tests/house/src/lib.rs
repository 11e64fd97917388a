//! The checks of the repository's own structure and language.
//!
//! Each check is a function that reads a [`House`] and returns one text for
//! each problem. `tests/repository.rs` runs them on this repository. Their limits are constants at the top of
//! the module of each.

pub mod comments;
pub mod examples;
pub mod graph;
pub mod house;
pub mod imports;
pub mod print;
pub mod prose;
pub mod repository;
pub mod rooms;
pub mod structure;
pub mod surface;
pub mod words;

use house::House;

/// A check: it returns the problems that it finds.
pub type Check = fn(&House) -> Vec<String>;

/// All checks, each with its name.
pub const CHECKS: &[(&str, Check)] = &[
    ("imports between rooms run one way", structure::room_cycles),
    ("files of these rooms import each other one way", structure::file_cycles),
    ("no room imports from the roof", structure::imports_from_roof),
    ("rooms are few and small, and each has a row in ARCHITECTURE.md", structure::rooms_of_tokio),
    ("no file is too long", structure::long_files),
    ("the facade exports few names flat", surface::problems),
    ("doc examples name the crate that a user has", examples::problems),
    ("replaced names do not come back", words::problems),
    ("sentences begin with a noun", prose::over_limit),
];
