//! Views of a crate for the checks that are not about imports.

use std::collections::BTreeSet;

use syn::{Item, ItemUse};

use super::modules::Crate;
use super::resolve::Found;
use super::uses::uses_of;

/// The code of one module, without test code.
pub(crate) struct ModuleCode<'a> {
    /// The path of its file, below the folder of the sources.
    pub(crate) path: &'a str,
    pub(crate) items: &'a [Item],
    /// The names of its modules and in its `use` items, each with its line.
    pub(crate) names: BTreeSet<(String, usize)>,
}

impl Crate {
    /// Returns the paths of a `use` item, each with the name that it gets; a glob has none.
    pub(crate) fn names_of(item: &ItemUse) -> Vec<(Vec<String>, Option<String>)> {
        uses_of(item).into_iter().map(|import| (import.path, import.name)).collect()
    }

    /// Returns whether a path from the root of the crate names a module and no item.
    pub(crate) fn is_module(&self, path: &[String]) -> bool {
        let ends = if self.modules.is_empty() { Vec::new() } else { self.resolve(0, path) };
        !ends.is_empty() && ends.iter().all(|end| matches!(end, Found::Module(_)))
    }

    /// Returns the code of each module, without test code.
    pub(crate) fn code(&self) -> impl Iterator<Item = ModuleCode<'_>> {
        self.modules.iter().map(|module| {
            let mut names = module.declared.clone();
            for import in &module.uses {
                let path = import.path.iter().chain(&import.name);
                names.extend(path.map(|name| (name.clone(), import.line)));
            }
            ModuleCode { path: &self.files[module.file].path, items: &module.items, names }
        })
    }
}
