//! Enums whose variants have bodies. `attribute` reads the attributes, `check` finds errors, and
//! `structs`, `traits`, `from_errors` and `whole` write the code for a variant's struct and for the
//! enum.

mod ast;
mod attribute;
mod check;
mod conditional;
mod from_errors;
mod generics;
mod names;
mod serde_attributes;
mod structs;
mod traits;
mod whole;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Fields, ItemEnum, Path};

use self::names::Names;
use crate::errors::Errors;

/// Returns whether the enum has bodies, instead of unit variants with discriminants.
pub(crate) fn are_in(item: &ItemEnum) -> bool {
    item.variants.iter().any(|variant| {
        !matches!(variant.fields, Fields::Unit)
            || variant.attrs.iter().any(|one| one.path().is_ident("message"))
    })
}

/// Returns the code to put beside the enum, and leaves the enum in a form that rustc accepts.
pub(crate) fn expand(item: &mut ItemEnum, facade: &Path, errors: &mut Errors) -> TokenStream {
    let Some(messages) = check::check(item, errors) else {
        return TokenStream::new();
    };
    let names = Names::new(item, facade);
    let checks = messages.variants.iter().map(|one| traits::check_parts(one, &names));
    let structs = messages.variants.iter().map(|one| structs::expand(item, one, &names));
    let traits = messages.variants.iter().map(|one| traits::expand(one, &messages, item, &names));
    let conversions = messages.variants.iter().map(|one| from_errors::expand(one, &names));
    let whole = whole::expand(item, &messages, &names);
    let alias = &names.alias;
    quote! {
        #alias
        #(#checks)*
        #(#structs)*
        #[allow(dead_code, deprecated)]
        const _: () = {
            #(#traits)*
            #(#conversions)*
            #whole
        };
    }
}
