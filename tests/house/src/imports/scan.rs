//! All imports of a crate, as arrows between its files.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::Crate;
use super::paths::Paths;
use super::resolve::Found;

/// One file names an item of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The importing file, below the folder of the crate's sources.
    pub from: String,
    /// The file that defines the item.
    pub to: String,
    /// The item; `*` for a glob.
    pub name: String,
    /// Whether the importing file only passes the name on, and `to` belongs to a module below its own.
    pub is_listing: bool,
}

/// The imports of a crate.
#[derive(Debug)]
pub struct Imports {
    /// The folder with the crate's sources.
    pub folder: String,
    /// All files, test files left out.
    pub files: Vec<String>,
    /// All imports, without those within a file.
    pub imports: Vec<Import>,
    /// Names of other crates that files import through the roof: file and name.
    pub by_roof: Vec<(String, String)>,
    /// Files that could not be read, each with its reason.
    pub problems: Vec<String>,
}

impl Imports {
    /// Finds the imports of a crate.
    pub fn of(tree: &Crate) -> Self {
        // The value says whether all that was found is a listing.
        let mut arrows = BTreeMap::<(usize, usize, String), bool>::new();
        let mut by_roof = BTreeSet::new();
        for (id, module) in tree.modules.iter().enumerate() {
            let mut add = |end: Found, is_glob: bool, is_listing: bool| {
                let (to, name) = match end {
                    Found::Item { file, name } => (file, name),
                    Found::Module(target) if is_glob => (tree.modules[target].file, "*".to_owned()),
                    Found::Module(target) => (tree.modules[target].file, tree.name_of(target)),
                    Found::OutsideByRoof(roof, name) => {
                        if roof != module.file {
                            by_roof.insert((tree.files[module.file].path.clone(), name));
                        }
                        return;
                    }
                    Found::Outside => return,
                };
                if to != module.file {
                    let entry = arrows.entry((module.file, to, name)).or_insert(true);
                    *entry &= is_listing;
                }
            };
            let paths = Paths::of(tree, id);
            for import in &module.uses {
                let is_mentioned =
                    import.name.as_ref().is_none_or(|name| paths.mentioned.contains(name));
                for end in tree.resolve(id, &import.path) {
                    let is_listing = import.is_reexport && !is_mentioned && tree.is_below(&end, id);
                    add(end, import.is_glob, is_listing);
                }
            }
            for end in paths.ends {
                add(end, false, false);
            }
        }
        let imports = arrows.into_iter().map(|((from, to, name), is_listing)| Import {
            from: tree.files[from].path.clone(),
            to: tree.files[to].path.clone(),
            name,
            is_listing,
        });
        Self {
            folder: tree.folder.clone(),
            files: tree.paths().map(str::to_owned).collect(),
            imports: imports.collect(),
            by_roof: by_roof.into_iter().collect(),
            problems: tree.problems.clone(),
        }
    }
}

impl Crate {
    fn name_of(&self, module: usize) -> String {
        let parent = self.modules[module].parent;
        let siblings = parent.iter().flat_map(|&parent| &self.modules[parent].children);
        let mut found = siblings.filter(|(_, ids)| ids.contains(&module));
        found.next().map_or_else(|| "crate".to_owned(), |(name, _)| name.clone())
    }

    fn file_of_end(&self, end: &Found) -> Option<usize> {
        match end {
            Found::Item { file, .. } => Some(*file),
            Found::Module(module) => Some(self.modules[*module].file),
            Found::OutsideByRoof(..) | Found::Outside => None,
        }
    }

    /// Returns whether a module below `module` has the file of `end`.
    fn is_below(&self, end: &Found, module: usize) -> bool {
        let Some(file) = self.file_of_end(end) else { return false };
        self.modules[module]
            .children
            .values()
            .flatten()
            .any(|&child| self.modules[child].file == file || self.is_below(end, child))
    }
}
