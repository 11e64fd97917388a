//! The checks of the repository's own structure and language.

pub mod graph;
pub mod imports;
pub mod print;
pub mod repository;
pub mod rooms;
