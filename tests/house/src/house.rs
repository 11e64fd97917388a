//! The repository with everything that several checks read.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use crate::imports::{Crate, Imports};
use crate::repository::Repository;

/// A repository, and the imports of its crates once a check needs them.
#[derive(Debug)]
pub struct House {
    /// The files.
    pub repository: Repository,
    imports: OnceLock<Vec<Imports>>,
}

impl House {
    /// Reads the repository whose root is `root`.
    pub fn read(root: &Path) -> io::Result<Self> {
        Ok(Self { repository: Repository::read(root)?, imports: OnceLock::new() })
    }

    /// Makes a repository of `files`, each with its path and its text.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self { repository: Repository::of(files), imports: OnceLock::new() }
    }

    /// Returns the imports of each crate.
    pub fn imports(&self) -> &[Imports] {
        self.imports.get_or_init(|| {
            let crates = self.repository.crates();
            let parse = |folder: &String| Imports::of(&Crate::parse(&self.repository, folder));
            crates.iter().map(parse).collect()
        })
    }
}
