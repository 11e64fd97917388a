//! The paths in the code of a module, each with the end that it resolves to.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Attribute, Block, Item, Macro, Meta, Path, Stmt, VisRestricted};

use super::modules::{Crate, name_of};
use super::resolve::Found;
use super::tokens::{Named, named_in};
use super::uses::{Use, uses_of};

/// Collects the ends of all paths in the items of one module.
#[derive(Debug)]
pub(crate) struct Paths<'a> {
    tree: &'a Crate,
    module: usize,
    has_globs: bool,
    scopes: Vec<Scope>,
    /// The ends of the paths.
    pub(crate) ends: BTreeSet<Found>,
    /// The first names of all paths.
    pub(crate) mentioned: BTreeSet<String>,
}

/// The names that a block declares.
#[derive(Debug, Default)]
struct Scope {
    items: BTreeSet<String>,
    uses: Vec<Use>,
}

impl<'a> Paths<'a> {
    /// Collects the paths of `module`.
    pub(crate) fn of(tree: &'a Crate, module: usize) -> Self {
        let has_globs = tree.modules[module].uses.iter().any(|import| import.is_glob);
        let mut paths = Self {
            tree,
            module,
            has_globs,
            scopes: Vec::new(),
            ends: BTreeSet::new(),
            mentioned: BTreeSet::new(),
        };
        for item in &tree.modules[module].items {
            paths.visit_item(item);
        }
        paths
    }

    fn add(&mut self, path: &[String]) {
        let first = &path[0];
        self.mentioned.insert(first.clone());
        if path.len() > 1 || self.may_come_from_glob(first) {
            let ends = self.resolve(path);
            self.ends.extend(ends);
        }
    }

    /// Returns whether a glob may bring this name. An item or an import of the name was counted where it stands.
    fn may_come_from_glob(&self, name: &str) -> bool {
        let module = &self.tree.modules[self.module];
        let is_declared = module.names.contains(name)
            || module.uses.iter().any(|import| import.name.as_deref() == Some(name));
        let is_in_scope = self.scopes.iter().any(|scope| scope.items.contains(name));
        let in_scopes =
            self.scopes.iter().any(|scope| scope.uses.iter().any(|import| import.is_glob));
        (self.has_globs && !is_declared && !is_in_scope) || in_scopes
    }

    fn resolve(&self, path: &[String]) -> Vec<Found> {
        for scope in self.scopes.iter().rev() {
            if scope.items.contains(&path[0]) {
                return Vec::new();
            }
            for import in &scope.uses {
                let is_meant = import.name.as_ref() == Some(&path[0]);
                if !is_meant && !import.is_glob {
                    continue;
                }
                let starts = self.tree.resolve(self.module, &import.path);
                if is_meant {
                    return self.tree.follow(starts, &path[1..], &mut BTreeSet::new());
                }
                let modules = starts.iter().filter_map(|start| match start {
                    Found::Module(module) => Some(*module),
                    _ => None,
                });
                let found: Vec<_> =
                    modules.flat_map(|module| self.tree.resolve_name(module, &path[0])).collect();
                if !found.is_empty() {
                    return self.tree.follow(found, &path[1..], &mut BTreeSet::new());
                }
            }
        }
        self.tree.resolve(self.module, path)
    }

    fn add_use(&mut self, import: &Use) {
        let ends = self.tree.resolve(self.module, &import.path);
        self.ends.extend(ends);
    }

    fn add_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        for named in named_in(tokens) {
            match named {
                Named::Path(path) => self.add(&path),
                Named::Use(item) => {
                    for import in uses_of(&item) {
                        self.add_use(&import);
                    }
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let names: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
            self.add(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.add_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::List(list) => {
                self.visit_path(&list.path);
                self.add_tokens(list.tokens.clone());
            }
            Meta::Path(path) => self.visit_path(path),
            Meta::NameValue(_) => {}
        }
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let mut scope = Scope::default();
        for statement in &block.stmts {
            match statement {
                Stmt::Item(Item::Use(item)) => scope.uses.extend(uses_of(item)),
                Stmt::Item(Item::Mod(item)) => _ = scope.items.insert(item.ident.to_string()),
                Stmt::Item(item) => scope.items.extend(name_of(item)),
                _ => {}
            }
        }
        for import in scope.uses.clone() {
            self.add_use(&import);
        }
        self.scopes.push(scope);
        visit::visit_block(self, block);
        self.scopes.pop();
    }

    // A path in a visibility is that of a module around it.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}
