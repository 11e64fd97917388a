//! The derives of a message enum, without those that the user wrote.
//!
//! The macro sees the attributes below `#[veltix::message]`. A `#[derive]` above it has run and is
//! not visible any more. A trait that is then derived twice is rustc's error E0119, which names
//! both places.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token, parse_quote};

/// Returns the attributes that derive the missing traits.
pub(crate) fn missing(attributes: &[Attribute]) -> Vec<Attribute> {
    let written: Vec<Derived> = attributes.iter().flat_map(derived).collect();
    let mut unwritten = Vec::new();
    let mut missing = Vec::new();
    for (name, path) in [
        ("Clone", quote!(::core::clone::Clone)),
        ("Copy", quote!(::core::marker::Copy)),
        ("Debug", quote!(::core::fmt::Debug)),
        ("Eq", quote!(::core::cmp::Eq)),
        ("Hash", quote!(::core::hash::Hash)),
        ("PartialEq", quote!(::core::cmp::PartialEq)),
    ] {
        let same: Vec<&Derived> = written.iter().filter(|one| one.name == name).collect();
        if same.is_empty() {
            unwritten.push(path);
        } else if same.iter().all(|one| one.condition.is_some()) {
            let conditions = same.iter().map(|one| &one.condition);
            missing.push(parse_quote!(#[cfg_attr(not(any(#(#conditions),*)), derive(#path))]));
        }
    }
    if !unwritten.is_empty() {
        missing.push(parse_quote!(#[derive(#(#unwritten),*)]));
    }
    missing
}

/// Holds a trait that the user derives.
struct Derived {
    /// Holds the last segment of its path, because `derive_more::Debug` also provides `Debug`.
    name: String,
    /// Holds the condition of the `#[cfg_attr]` around it.
    condition: Option<TokenStream>,
}

fn derived(attribute: &Attribute) -> Vec<Derived> {
    if attribute.path().is_ident("derive") {
        return traits(&attribute.meta, None);
    }
    if !attribute.path().is_ident("cfg_attr") {
        return Vec::new();
    }
    let Ok(metas) = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
    else {
        return Vec::new();
    };
    let mut metas = metas.iter();
    let condition = metas.next().map(ToTokens::to_token_stream);
    metas
        .filter(|meta| meta.path().is_ident("derive"))
        .flat_map(|derive| traits(derive, condition.as_ref()))
        .collect()
}

fn traits(derive: &Meta, condition: Option<&TokenStream>) -> Vec<Derived> {
    let paths = derive
        .require_list()
        .and_then(|list| list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated))
        .unwrap_or_default();
    paths
        .iter()
        .filter_map(|path| path.segments.last())
        .map(|last| Derived { name: last.ident.to_string(), condition: condition.cloned() })
        .collect()
}
