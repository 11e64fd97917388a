//! The module tree of a crate, read from its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use syn::visit_mut::VisitMut;
use syn::{Attribute, Expr, Item, ItemMod, Lit, Meta};

use super::test_code::{self, Strip};
use super::uses::{Use, uses_of};
use crate::repository::Repository;

/// A crate whose files are parsed.
pub struct Crate {
    /// The folder with its sources, such as `veltix-core/src`.
    pub folder: String,
    pub(crate) files: Vec<SourceFile>,
    pub(crate) modules: Vec<Module>,
    /// Files and modules that could not be read, each with its reason.
    pub problems: Vec<String>,
}

/// A file of a crate that is compiled outside of tests.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// The path below the folder of the crate's sources.
    pub(crate) path: String,
}

/// A module: a file, or a `mod` with a body inside a file.
pub(crate) struct Module {
    pub(crate) parent: Option<usize>,
    pub(crate) file: usize,
    /// The items without test code and without modules.
    pub(crate) items: Vec<Item>,
    /// The names of the items.
    pub(crate) names: BTreeSet<String>,
    pub(crate) uses: Vec<Use>,
    /// The modules in it. Conditions may give one name to several.
    pub(crate) children: BTreeMap<String, Vec<usize>>,
    /// The names of these modules, each with its line.
    pub(crate) declared: BTreeSet<(String, usize)>,
}

impl fmt::Debug for Crate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crate").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Crate {
    /// Parses the crate whose sources are in `folder`, from its `lib.rs` and its `main.rs`.
    pub fn parse(repository: &Repository, folder: &str) -> Self {
        let mut tree = Self {
            folder: folder.to_owned(),
            files: Vec::new(),
            modules: Vec::new(),
            problems: Vec::new(),
        };
        let mut test_files = BTreeSet::new();
        for root in ["lib.rs", "main.rs"] {
            if repository.text(&format!("{folder}/{root}")).is_some() {
                tree.add_file(repository, root, "", None, &mut test_files);
            }
        }
        for (path, _) in repository.below(folder).filter(|(path, _)| path.ends_with(".rs")) {
            let path = &path[folder.len() + 1..];
            let is_known = tree.files.iter().any(|file| file.path == path);
            if !is_known && !is_below_test(path, &test_files) {
                tree.problems.push(format!("{folder}/{path}: no module declares this file"));
            }
        }
        tree
    }

    /// Returns the paths of the files, below the folder of the sources, without test files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }

    /// Adds the file at `path`, whose modules are in the folder `children` (empty or with a `/` at its end).
    fn add_file(
        &mut self,
        repository: &Repository,
        path: &str,
        children: &str,
        parent: Option<usize>,
        test_files: &mut BTreeSet<String>,
    ) -> Option<usize> {
        let text = repository.text(&format!("{}/{path}", self.folder)).unwrap_or_default();
        let parsed = match syn::parse_file(text) {
            Ok(parsed) => parsed,
            Err(error) => {
                let line = error.span().start().line;
                self.problems.push(format!("{}/{path}:{line}: {error}", self.folder));
                return None;
            }
        };
        if test_code::is_test(&parsed.attrs) {
            test_files.insert(path.to_owned());
            return None;
        }
        let file = self.files.iter().position(|file| file.path == path).unwrap_or_else(|| {
            self.files.push(SourceFile { path: path.to_owned() });
            self.files.len() - 1
        });
        Some(self.add_module(repository, file, parsed.items, children, parent, test_files))
    }

    fn add_module(
        &mut self,
        repository: &Repository,
        file: usize,
        items: Vec<Item>,
        folder: &str,
        parent: Option<usize>,
        test_files: &mut BTreeSet<String>,
    ) -> usize {
        let id = self.modules.len();
        self.modules.push(Module {
            parent,
            file,
            items: Vec::new(),
            names: BTreeSet::new(),
            uses: Vec::new(),
            children: BTreeMap::new(),
            declared: BTreeSet::new(),
        });
        for item in items {
            let is_test = test_code::is_test(test_code::of_item(&item));
            match item {
                Item::Mod(child) => {
                    self.add_child(repository, id, child, is_test, folder, test_files);
                }
                _ if is_test => {}
                Item::Use(item) => self.modules[id].uses.extend(uses_of(&item)),
                mut item => {
                    Strip.visit_item_mut(&mut item);
                    self.modules[id].names.extend(name_of(&item));
                    self.modules[id].items.push(item);
                }
            }
        }
        id
    }

    fn add_child(
        &mut self,
        repository: &Repository,
        parent: usize,
        child: ItemMod,
        is_test: bool,
        folder: &str,
        test_files: &mut BTreeSet<String>,
    ) {
        let name = child.ident.to_string();
        let line = child.ident.span().start().line;
        let below = format!("{folder}{name}/");
        let file = self.modules[parent].file;
        let added = if let Some((_, items)) = child.content {
            if is_test {
                return;
            }
            Some(self.add_module(repository, file, items, &below, Some(parent), test_files))
        } else {
            let Some((path, below)) = self.file_of(repository, &child.attrs, &name, file, folder)
            else {
                let file = &self.files[file].path;
                self.problems.push(format!("{}/{file}: no file for `mod {name};`", self.folder));
                return;
            };
            if is_test {
                test_files.insert(path);
                return;
            }
            let is_known = self.modules[parent].children.get(&name).is_some_and(|ids| {
                ids.iter().any(|&id| self.files[self.modules[id].file].path == path)
            });
            if is_known {
                return;
            }
            self.add_file(repository, &path, &below, Some(parent), test_files)
        };
        if let Some(id) = added {
            self.modules[parent].declared.insert((name.clone(), line));
            self.modules[parent].children.entry(name).or_default().push(id);
        }
    }

    /// Returns the file of `mod name;`, and the folder with the modules in it.
    fn file_of(
        &self,
        repository: &Repository,
        attributes: &[Attribute],
        name: &str,
        declared_in: usize,
        folder: &str,
    ) -> Option<(String, String)> {
        if let Some(named) = attributes.iter().find_map(path_attribute) {
            let declaring = &self.files[declared_in].path;
            let own_folder = declaring.rfind('/').map_or("", |end| &declaring[..=end]);
            let path = format!("{own_folder}{named}");
            let below = path.rfind('/').map_or(String::new(), |end| path[..=end].to_owned());
            return Some((path, below));
        }
        let below = format!("{folder}{name}/");
        [format!("{folder}{name}.rs"), format!("{below}mod.rs")]
            .into_iter()
            .find(|path| repository.text(&format!("{}/{path}", self.folder)).is_some())
            .map(|path| (path, below))
    }
}

/// Returns whether the file at `path` is a test file, or a module of one.
fn is_below_test(path: &str, test_files: &BTreeSet<String>) -> bool {
    test_files.iter().any(|test| {
        let folder = test
            .strip_suffix("mod.rs")
            .map_or_else(|| format!("{}/", test.trim_end_matches(".rs")), str::to_owned);
        path == test || path.starts_with(&folder)
    })
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        Expr::Lit(literal) if pair.path.is_ident("path") => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the name that an item declares, other than that of a module.
pub(crate) fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
