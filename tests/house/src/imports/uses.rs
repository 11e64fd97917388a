//! `use` trees as a flat list.

use proc_macro2::Ident;
use syn::{ItemUse, UseTree, Visibility};

/// One name, or one glob, of a `use` tree.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    /// The path, such as `["crate", "close", "Closing"]`.
    pub(crate) path: Vec<String>,
    /// The name that it gets here; none for a glob and for `as _`.
    pub(crate) name: Option<String>,
    pub(crate) is_glob: bool,
    /// Whether it has a visibility of its own.
    pub(crate) is_reexport: bool,
    pub(crate) line: usize,
}

/// Returns all names and globs of a `use` item. Paths that begin with `::` lead out of the crate, so
/// they are left out.
pub(crate) fn uses_of(item: &ItemUse) -> Vec<Use> {
    let mut uses = Vec::new();
    if item.leading_colon.is_none() {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        flatten(&item.tree, &mut Vec::new(), is_reexport, &mut uses);
    }
    uses
}

fn flatten(tree: &UseTree, path: &mut Vec<String>, is_reexport: bool, uses: &mut Vec<Use>) {
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            flatten(&tree.tree, path, is_reexport, uses);
            path.pop();
        }
        UseTree::Name(tree) => {
            uses.push(named(path, &tree.ident, None, is_reexport));
        }
        UseTree::Rename(tree) => {
            uses.push(named(path, &tree.ident, Some(&tree.rename), is_reexport));
        }
        UseTree::Glob(glob) => {
            let line = glob.star_token.span.start().line;
            uses.push(Use { path: path.clone(), name: None, is_glob: true, is_reexport, line });
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path, is_reexport, uses);
            }
        }
    }
}

/// Returns the import of one name. `last` may be `self`, which stands for the path before it.
fn named(path: &[String], last: &Ident, rename: Option<&Ident>, is_reexport: bool) -> Use {
    let mut path = path.to_vec();
    if last != "self" || path.is_empty() {
        path.push(last.to_string());
    }
    let name = rename.map(Ident::to_string).or_else(|| path.last().cloned());
    let name = name.filter(|name| name != "_");
    Use { path, name, is_glob: false, is_reexport, line: last.span().start().line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(code: &str) -> Vec<String> {
        uses_of(&syn::parse_str(code).unwrap())
            .into_iter()
            .map(|found| {
                let name =
                    found.name.unwrap_or_else(|| if found.is_glob { "*" } else { "_" }.into());
                format!("{} as {name}", found.path.join("::"))
            })
            .collect()
    }

    #[test]
    fn groups_renames_globs_and_self_are_flattened() {
        assert_eq!(
            flat("use crate::a::{self, B, c::{D as E, *}, F as _};"),
            [
                "crate::a as a",
                "crate::a::B as B",
                "crate::a::c::D as E",
                "crate::a::c as *",
                "crate::a::F as _",
            ]
        );
        assert_eq!(flat("use super::super::X;"), ["super::super::X as X"]);
        assert!(flat("use ::crate_of_others::X;").is_empty());
    }
}
