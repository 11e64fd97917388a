//! Distributes the user's attributes to the enum, to the struct of a variant, and to the shadow
//! that serializes the enum.

use quote::quote;
use syn::{Attribute, Ident, Meta, parse_quote};

use super::conditional::{Conditional, flatten, list};
use crate::errors::Errors;

/// Lists the attributes that have the same meaning on an enum's variant and on a struct.
const MOVED: [&str; 9] =
    ["doc", "cfg", "serde", "deprecated", "non_exhaustive", "allow", "warn", "deny", "must_use"];

/// Lists the serde attributes of a variant that a struct does not have.
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

/// Lists the serde attributes of a struct that a variant does not have.
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

/// Lists the attributes that change the written body and that a variant of the shadow cannot have.
const BEYOND_SHADOWS: [&str; 4] = ["bound", "into", "tag", "transparent"];

/// Describes whether the enum derives `Serialize` or `Deserialize` itself, and so needs its serde
/// attributes.
#[derive(Clone)]
pub(crate) enum OwnSerde {
    Never,
    Always,
    /// The enum derives one of them under one of these conditions.
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

/// Returns the attributes that the struct of a variant or one of its fields takes over. Serde's
/// attributes are included only if serde is derived.
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

/// Returns the serde entries of an item, one by one.
pub(crate) fn entries(attributes: &[Attribute]) -> Vec<Conditional> {
    let all = attributes.iter().flat_map(flatten);
    all.filter(|one| one.meta.path().is_ident("serde"))
        .flat_map(|one| {
            let entries = list(&one.meta).unwrap_or_default();
            entries.into_iter().map(|entry| one.with(entry)).collect::<Vec<_>>()
        })
        .collect()
}

/// Returns whether a variant of the shadow can have these attributes.
pub(crate) fn fits_a_shadow(attributes: &[Attribute]) -> bool {
    let is_beyond =
        |one: &Conditional| BEYOND_SHADOWS.iter().any(|name| one.meta.path().is_ident(name));
    !entries(attributes).iter().any(is_beyond)
}

/// Returns the serde entries of this name, as attributes.
pub(crate) fn only(attributes: &[Attribute], name: &str) -> Vec<Conditional> {
    let entries = entries(attributes).into_iter().filter(|one| one.meta.path().is_ident(name));
    entries.map(|one| one.with(as_serde(&one.meta))).collect()
}

/// Returns the attributes that `#[serde(rename_all_fields = …)]` on an enum means for the struct of
/// a variant.
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

/// Keeps the serde attributes that a derive of the user needs on the enum or on a part of it, and
/// removes the others.
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

/// Reports serde's attributes at a place that serde does not process.
pub(crate) fn refuse(attributes: &[Attribute], why: &str, errors: &mut Errors) {
    for one in attributes.iter().flat_map(flatten) {
        if one.meta.path().is_ident("serde") {
            errors.at(&one.meta, why);
        }
    }
}

/// Returns a serde attribute without the entries of these names, and any other attribute unchanged.
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
