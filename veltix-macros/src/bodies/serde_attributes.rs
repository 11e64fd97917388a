//! Which of the user's attributes go where: on the enum, on the struct of a variant, and on the
//! shadow that serializes the enum.

use quote::quote;
use syn::{Attribute, Ident, Meta, parse_quote};

use super::conditional::{Conditional, flatten, list};
use crate::errors::Errors;

/// What says something about an item wherever it stands.
const MOVED: [&str; 9] =
    ["doc", "cfg", "serde", "deprecated", "non_exhaustive", "allow", "warn", "deny", "must_use"];

/// Serde's attributes of a variant that a struct does not have.
const OF_VARIANTS: [&str; 10] = [
    "alias",
    "borrow",
    "deserialize_with",
    "other",
    "serialize_with",
    "skip",
    "skip_deserializing",
    "skip_serializing",
    "untagged",
    "with",
];

/// Serde's attributes of a struct that a variant does not have.
const OF_STRUCTS: [&str; 9] = [
    "default",
    "deny_unknown_fields",
    "expecting",
    "from",
    "into",
    "remote",
    "tag",
    "transparent",
    "try_from",
];

/// Those that change what is written and that a variant of the shadow cannot have.
const BEYOND_SHADOWS: [&str; 4] = ["bound", "into", "tag", "transparent"];

/// Whether the enum derives `Serialize` or `Deserialize` itself, so that it needs its attributes.
#[derive(Clone)]
pub(crate) enum OwnSerde {
    Never,
    Always,
    /// Under one of these conditions.
    If(Vec<proc_macro2::TokenStream>),
}

impl OwnSerde {
    pub(crate) fn of(attributes: &[Attribute]) -> Self {
        let mut conditions = Vec::new();
        for derive in attributes.iter().flat_map(flatten) {
            let derived = derive.meta.path().is_ident("derive").then(|| list(&derive.meta));
            let is_serde = derived.flatten().unwrap_or_default().iter().any(|one| {
                let last = one.path().segments.last();
                last.is_some_and(|last| last.ident == "Serialize" || last.ident == "Deserialize")
            });
            match derive.conditions.as_slice() {
                _ if !is_serde => {}
                [] => return Self::Always,
                all => conditions.push(quote!(all(#(#all),*))),
            }
        }
        if conditions.is_empty() { Self::Never } else { Self::If(conditions) }
    }

    pub(crate) const fn is_possible(&self) -> bool {
        !matches!(self, Self::Never)
    }
}

/// Those of the user's attributes that go along with the struct of a variant, or with one of its
/// fields. Serde's go only where it is derived.
pub(crate) fn moved(
    attributes: &[Attribute],
    with_serde: bool,
    own: &OwnSerde,
) -> Vec<Conditional> {
    let all = attributes.iter().flat_map(flatten);
    let moved = all.filter(|one| MOVED.iter().any(|name| one.meta.path().is_ident(name)));
    moved
        .filter(|one| with_serde || !one.meta.path().is_ident("serde"))
        .filter_map(|one| if own.is_possible() { without(&one, &OF_VARIANTS) } else { Some(one) })
        .collect()
}

/// Serde's attributes on something, one entry each.
pub(crate) fn entries(attributes: &[Attribute]) -> Vec<Conditional> {
    let all = attributes.iter().flat_map(flatten);
    all.filter(|one| one.meta.path().is_ident("serde"))
        .flat_map(|one| {
            let entries = list(&one.meta).unwrap_or_default();
            entries.into_iter().map(|entry| one.with(entry)).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether what a variant says to serde can be said by a variant of the shadow.
pub(crate) fn fits_a_shadow(attributes: &[Attribute]) -> bool {
    let is_beyond =
        |one: &Conditional| BEYOND_SHADOWS.iter().any(|name| one.meta.path().is_ident(name));
    !entries(attributes).iter().any(is_beyond)
}

/// The serde entries of these names, as attributes.
pub(crate) fn only(attributes: &[Attribute], name: &str) -> Vec<Conditional> {
    let entries = entries(attributes).into_iter().filter(|one| one.meta.path().is_ident(name));
    entries.map(|one| one.with(as_serde(&one.meta))).collect()
}

/// What an enum's `#[serde(rename_all_fields = …)]` says to a struct of its variants.
pub(crate) fn of_all_fields(attributes: &[Attribute]) -> Vec<Conditional> {
    let mut renamed = only(attributes, "rename_all_fields");
    for one in &mut renamed {
        for mut entry in list(&one.meta).unwrap_or_default() {
            let name: Ident = parse_quote!(rename_all);
            match &mut entry {
                Meta::NameValue(pair) => pair.path = name.into(),
                Meta::List(list) => list.path = name.into(),
                Meta::Path(path) => *path = name.into(),
            }
            one.meta = as_serde(&entry);
        }
    }
    renamed
}

/// Leaves on the enum, or on a part of it, what a derive of the user's there needs.
pub(crate) fn keep_needed(attributes: &mut Vec<Attribute>, own: &OwnSerde, is_variant: bool) {
    let needed = attributes.iter().flat_map(|attribute| {
        let parts = flatten(attribute);
        if !parts.iter().any(|one| one.meta.path().is_ident("serde")) {
            return vec![attribute.clone()];
        }
        let kept = parts.iter().filter_map(|one| {
            if !one.meta.path().is_ident("serde") {
                return Some(one.clone());
            }
            let mut kept = one.clone();
            match own {
                OwnSerde::Never => return None,
                OwnSerde::Always => {}
                OwnSerde::If(conditions) => kept.conditions.push(quote!(any(#(#conditions),*))),
            }
            if is_variant { without(&kept, &OF_STRUCTS) } else { Some(kept) }
        });
        kept.map(|one| parse_quote!(#one)).collect()
    });
    *attributes = needed.collect();
}

/// Reports serde's attributes where serde has no say.
pub(crate) fn refuse(attributes: &[Attribute], why: &str, errors: &mut Errors) {
    for one in attributes.iter().flat_map(flatten) {
        if one.meta.path().is_ident("serde") {
            errors.at(&one.meta, why);
        }
    }
}

/// A serde attribute less the entries of these names; any other attribute as it is.
fn without(one: &Conditional, names: &[&str]) -> Option<Conditional> {
    let is_serde = one.meta.path().is_ident("serde");
    let Some(entries) = is_serde.then(|| list(&one.meta)).flatten() else {
        return Some(one.clone());
    };
    let is_kept = |entry: &&Meta| !names.iter().any(|name| entry.path().is_ident(name));
    let kept: Vec<&Meta> = entries.iter().filter(is_kept).collect();
    (!kept.is_empty()).then(|| one.with(parse_quote!(serde(#(#kept),*))))
}

fn as_serde(entry: &Meta) -> Meta {
    parse_quote!(serde(#entry))
}
