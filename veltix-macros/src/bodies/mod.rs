//! Enums whose variants have bodies: `attribute` reads, `check` finds what is wrong, `structs`,
//! `traits` and `whole` write the code for a variant's struct and for the enum.

mod ast;
mod attribute;
mod check;
mod conditional;
mod generics;
mod serde_attributes;
mod structs;
mod traits;
mod whole;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{Fields, ItemEnum, LitStr, Path};

use crate::errors::Errors;
use crate::naming;

/// Whether the enum is of this form, and not the unit-only one with discriminants.
pub(crate) fn are_in(item: &ItemEnum) -> bool {
    item.variants.iter().any(|variant| {
        !matches!(variant.fields, Fields::Unit)
            || variant.attrs.iter().any(|one| one.path().is_ident("message"))
    })
}

/// The code beside the enum, which is left as rustc takes it.
pub(crate) fn expand(item: &mut ItemEnum, facade: &Path, errors: &mut Errors) -> TokenStream {
    let Some(messages) = check::check(item, errors) else {
        return TokenStream::new();
    };
    let names = Names::new(item, facade);
    let checks = messages.variants.iter().map(|one| traits::check_parts(one, &names));
    let structs = messages.variants.iter().map(|one| structs::expand(item, one, &names));
    let traits = messages.variants.iter().map(|one| traits::expand(one, &messages, item, &names));
    let whole = whole::expand(item, &messages, &names);
    let alias = &names.alias;
    quote! {
        #alias
        #(#checks)*
        #(#structs)*
        #[allow(dead_code, deprecated)]
        const _: () = {
            #(#traits)*
            #whole
        };
    }
}

/// How the generated code calls what it uses.
pub(crate) struct Names {
    /// The facade's `__private`.
    pub(crate) private: TokenStream,
    /// Serde's path, as the text that its derives want.
    serde: LitStr,
    /// What makes that path valid.
    alias: Option<TokenStream>,
}

impl Names {
    fn new(item: &ItemEnum, facade: &Path) -> Self {
        let private = quote!(#facade::__private);
        let text = quote!(#private::serde).to_string().replace(' ', "");
        // A text cannot hold the `$crate` of a `macro_rules!`.
        let (serde, alias) = if text.starts_with('$') {
            let name = naming::snake_case(&item.ident);
            let name = format_ident!("__veltix_serde_of_{name}");
            let import =
                quote!(#[doc(hidden)] #[allow(unused_imports)] use #private::serde as #name;);
            (name.to_string(), Some(import))
        } else {
            (text, None)
        };
        let serde = LitStr::new(&serde, proc_macro2::Span::call_site());
        Self { private, serde, alias }
    }

    /// Serde's path, as it may also stand in a text.
    pub(crate) fn serde_path(&self) -> TokenStream {
        // It was written by `new`, and is a path.
        self.serde
            .parse::<Path>()
            .map_or_else(|error| error.to_compile_error(), |path| quote!(#path))
    }

    /// `#[serde(crate = …)]` with further entries.
    pub(crate) fn serde(&self, entries: impl ToTokens) -> TokenStream {
        let serde = &self.serde;
        quote!(#[serde(crate = #serde, #entries)])
    }
}
