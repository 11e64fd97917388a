//! The examples that are more than one file, by their parts. `interop` drives their programs.

mod file_transfer;
mod game;
