//! The imports of a crate: which file names an item of which other file.
//!
//! An import is each `use` tree, each qualified path in code, and each path inside a macro's tokens. It
//! leads to the file that defines the item: re-exports and globs are followed. Method calls and trait
//! implementations name no path, so they are not seen. Test code is exempt.

mod modules;
mod names;
mod paths;
mod resolve;
mod scan;
mod test_code;
mod tokens;
mod uses;

pub use modules::Crate;
pub use scan::{Import, Imports};
