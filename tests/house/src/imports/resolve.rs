//! From a path to the file that defines what it names.

use std::collections::BTreeSet;

use super::modules::Crate;

/// The end of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// An item of a file of this crate.
    Item { file: usize, name: String },
    /// A module of this crate.
    Module(usize),
    /// An item of another crate that the roof of this one re-exports.
    OutsideByRoof(usize, String),
    /// An item of another crate, or a name that no module knows.
    Outside,
}

/// Lookups that are under way, since re-exports may lead in a circle.
type Open = BTreeSet<(usize, String, bool)>;

impl Crate {
    /// Resolves a path that stands in a module. Several ends exist where conditions choose among items
    /// of one name.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> Vec<Found> {
        self.resolve_open(module, path, &mut Open::new())
    }

    /// Resolves a name that has no path before it: an item, an import, a module, or a name by a glob.
    pub(crate) fn resolve_name(&self, module: usize, name: &str) -> Vec<Found> {
        self.lookup(module, name, false, &mut Open::new())
    }

    fn resolve_open(&self, module: usize, path: &[String], open: &mut Open) -> Vec<Found> {
        let Some((first, rest)) = path.split_first() else { return vec![Found::Module(module)] };
        let starts = match first.as_str() {
            "crate" | "$crate" => vec![Found::Module(self.root_of(module))],
            "self" => vec![Found::Module(module)],
            "super" => match self.modules[module].parent {
                Some(parent) => vec![Found::Module(parent)],
                None => vec![Found::Outside],
            },
            "Self" => vec![Found::Outside],
            name => {
                let found = self.lookup(module, name, !rest.is_empty(), open);
                if found.is_empty() { vec![Found::Outside] } else { found }
            }
        };
        self.follow(starts, rest, open)
    }

    /// Resolves the rest of a path whose beginning leads to `starts`.
    pub(crate) fn follow(
        &self,
        starts: Vec<Found>,
        path: &[String],
        open: &mut Open,
    ) -> Vec<Found> {
        let Some((next, rest)) = path.split_first() else { return starts };
        let mut ends = Vec::new();
        for start in starts {
            let Found::Module(module) = start else {
                // A segment behind an item is a variant or an associated item of it.
                ends.push(start);
                continue;
            };
            let found = match (next.as_str(), self.modules[module].parent) {
                ("super", Some(parent)) => vec![Found::Module(parent)],
                ("self", _) => vec![Found::Module(module)],
                _ => self.lookup(module, next, !rest.is_empty(), open),
            };
            if found.is_empty() {
                ends.extend(self.unknown(module, next));
            } else {
                ends.extend(self.follow(found, rest, open));
            }
        }
        ends.sort();
        ends.dedup();
        ends
    }

    /// Returns the definitions of `name` in `module`. A path that goes on wants a module before an item.
    fn lookup(&self, id: usize, name: &str, wants_module: bool, open: &mut Open) -> Vec<Found> {
        if !open.insert((id, name.to_owned(), wants_module)) {
            return Vec::new();
        }
        let module = &self.modules[id];
        let mut found = Vec::new();
        if module.names.contains(name) {
            found.push(Found::Item { file: module.file, name: name.to_owned() });
        }
        for import in module.uses.iter().filter(|import| import.name.as_deref() == Some(name)) {
            // `use thing::{self}` and `use outside;` would find themselves.
            if import.path.len() == 1 && import.path[0] == name {
                continue;
            }
            for end in self.resolve_open(id, &import.path, open) {
                found.push(match end {
                    Found::Outside if self.is_roof(id) => {
                        Found::OutsideByRoof(module.file, name.to_owned())
                    }
                    end => end,
                });
            }
        }
        let modules = module.children.get(name).into_iter().flatten();
        found.extend(modules.map(|&module| Found::Module(module)));
        if found.is_empty() {
            for glob in module.uses.iter().filter(|import| import.is_glob) {
                for end in self.resolve_open(id, &glob.path, open) {
                    if let Found::Module(target) = end {
                        found.extend(self.lookup(target, name, wants_module, open));
                    }
                }
            }
        }
        open.remove(&(id, name.to_owned(), wants_module));
        found.sort();
        found.dedup();
        prefer(found, wants_module)
    }

    /// Returns the place of a name that `module` is not seen to define: a macro made it, or it is a macro that
    /// `#[macro_export]` moves to the roof.
    fn unknown(&self, module: usize, name: &str) -> Vec<Found> {
        if self.is_roof(module) {
            let definer = self.modules.iter().find(|module| module.names.contains(name));
            if let Some(definer) = definer {
                return vec![Found::Item { file: definer.file, name: name.to_owned() }];
            }
        }
        vec![Found::Item { file: self.modules[module].file, name: name.to_owned() }]
    }

    pub(crate) fn root_of(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }

    pub(crate) fn is_roof(&self, module: usize) -> bool {
        self.modules[self.root_of(module)].file == self.modules[module].file
    }
}

/// Keeps the modules, or all else, if there are any.
fn prefer(found: Vec<Found>, modules: bool) -> Vec<Found> {
    let (first, second): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|end| matches!(end, Found::Module(_)) == modules);
    if first.is_empty() { second } else { first }
}
