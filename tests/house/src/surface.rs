//! The check of the public surface: the number of names that the facade exports flat.

use std::collections::BTreeSet;

use syn::{Attribute, File, Item, Meta, Visibility};

use crate::house::House;
use crate::imports::Crate;
use crate::repository::Repository;

/// The most names beside the modules.
pub const MAX_NAMES: usize = 80;
/// The facade's only file.
const FACADE: &str = "src/lib.rs";

/// The names that the facade exports flat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// Types, traits, functions, constants and macros.
    pub names: BTreeSet<String>,
    /// Modules.
    pub modules: BTreeSet<String>,
    /// Globs, which hide a number of names.
    pub globs: Vec<String>,
}

/// Returns the surface of the facade.
pub fn surface(repository: &Repository) -> syn::Result<Surface> {
    let file: File = syn::parse_file(repository.text(FACADE).unwrap_or_default())?;
    let facade = Crate::parse(repository, "src");
    let crates = ["core", "tokio", "macros"].map(|name| {
        (format!("veltix_{name}"), Crate::parse(repository, &format!("veltix-{name}/src")))
    });
    let mut surface = Surface::default();
    for item in &file.items {
        match item {
            Item::Use(item) if is_public(&item.vis) && !is_hidden(&item.attrs) => {
                for (path, name) in Crate::names_of(item) {
                    let Some(name) = name else {
                        surface.globs.push(path.join("::"));
                        continue;
                    };
                    let is_module = match crates.iter().find(|(name, _)| *name == path[0]) {
                        Some((_, tree)) => tree.is_module(&path[1..]),
                        None => facade.is_module(&path),
                    };
                    let kind = if is_module { &mut surface.modules } else { &mut surface.names };
                    kind.insert(name);
                }
            }
            item => surface.add_item(item),
        }
    }
    Ok(surface)
}

impl Surface {
    /// Adds an item that the facade declares itself.
    fn add_item(&mut self, item: &Item) {
        let (vis, attributes, name) = match item {
            Item::Mod(item) => (&item.vis, &item.attrs, &item.ident),
            Item::Const(item) => (&item.vis, &item.attrs, &item.ident),
            Item::Enum(item) => (&item.vis, &item.attrs, &item.ident),
            Item::Fn(item) => (&item.vis, &item.attrs, &item.sig.ident),
            Item::Static(item) => (&item.vis, &item.attrs, &item.ident),
            Item::Struct(item) => (&item.vis, &item.attrs, &item.ident),
            Item::Trait(item) => (&item.vis, &item.attrs, &item.ident),
            Item::Type(item) => (&item.vis, &item.attrs, &item.ident),
            _ => return,
        };
        if is_public(vis) && !is_hidden(attributes) {
            let is_module = matches!(item, Item::Mod(_));
            let kind = if is_module { &mut self.modules } else { &mut self.names };
            kind.insert(name.to_string());
        }
    }
}

/// Finds a surface that is too large, or whose size is hidden by a glob.
pub fn problems(house: &House) -> Vec<String> {
    let repository = &house.repository;
    let surface = match surface(repository) {
        Ok(surface) => surface,
        Err(error) => return vec![format!("{FACADE}: {error}")],
    };
    let mut problems: Vec<_> = surface
        .globs
        .iter()
        .map(|path| format!("{FACADE}: `{path}::*` hides how many names it exports: list them"))
        .collect();
    let count = surface.names.len();
    if count > MAX_NAMES {
        let names: Vec<_> = surface.names.iter().map(String::as_str).collect();
        problems.push(format!(
            "{FACADE}: {count} names beside modules, at most {MAX_NAMES}: {}",
            names.join(", ")
        ));
    }
    problems
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("doc") => list.tokens.to_string() == "hidden",
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn names_and_modules_are_told_apart() {
        let facade = "pub use veltix_core::{limits, Rate, memory, types::Code as PublicCode};
            pub use veltix_macros::message;
            #[cfg(feature = \"tls\")] pub use veltix_tokio::tls;
            #[doc(hidden)] pub use veltix_core::Hidden;
            #[doc(hidden)] pub mod __private {}
            pub mod handler { pub use veltix_core::A; }
            use veltix_core::Private;
            pub const VERSION: u8 = 1;
            pub use veltix_core::text::*;";
        let repository = Repository::of(&[
            ("src/lib.rs", facade),
            (
                "veltix-core/src/lib.rs",
                "pub mod limits; pub mod memory; pub use memory::memory; pub struct Rate;",
            ),
            ("veltix-core/src/limits.rs", ""),
            ("veltix-core/src/memory.rs", "pub fn memory() {}"),
            ("veltix-tokio/src/lib.rs", "pub mod tls {}"),
        ]);
        assert_eq!(
            surface(&repository).unwrap(),
            Surface {
                names: set(&["Rate", "memory", "PublicCode", "message", "VERSION"]),
                modules: set(&["limits", "tls", "handler"]),
                globs: vec!["veltix_core::text".to_owned()],
            }
        );
    }

    #[test]
    fn a_surface_that_is_too_large_is_found() {
        let names: Vec<_> = (0..81).map(|at| format!("N{at}")).collect();
        let facade = format!("pub use veltix_core::{{{}}};", names.join(", "));
        let found = problems(&House::of(&[("src/lib.rs", facade.as_str())]));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("src/lib.rs: 81 names beside modules, at most 80: N0, N1, N10")
        );
    }
}
