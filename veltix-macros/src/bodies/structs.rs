//! Writes the struct of a variant, which is the message as a type of its own.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ItemEnum;

use super::ast::{Field, Shape, Variant};
use super::names::Names;

/// Returns the struct, or nothing if the user's own type is the message.
pub(crate) fn expand(item: &ItemEnum, variant: &Variant, names: &Names) -> TokenStream {
    let vis = &item.vis;
    let Variant { ident, moved, generics, options, .. } = variant;
    let predicates = &generics.where_clause;
    let field = |field: &Field| {
        let Field { ident, ty, .. } = field;
        let has_serde = variant.has_serde();
        let moved =
            field.moved.iter().filter(|one| has_serde || !one.meta.path().is_ident("serde"));
        let name = ident.as_ref().map(|ident| quote!(#ident:));
        quote!(#(#moved)* #vis #name #ty)
    };
    let body = match &variant.shape {
        Shape::Itself(_) => return TokenStream::new(),
        Shape::Empty => quote!(#predicates;),
        Shape::Broken(fields) if fields.iter().all(|one| one.ident.is_none()) => {
            let fields = fields.iter().map(field);
            quote!((#(#fields),*) #predicates;)
        }
        Shape::Named(fields) | Shape::Broken(fields) => {
            let fields = fields.iter().map(field);
            quote!(#predicates { #(#fields),* })
        }
        Shape::Newtype(one) => {
            let one = field(one);
            quote!((#one) #predicates;)
        }
    };
    let private = &names.private;
    // The span is the variant's name, so that errors of a derive are reported there.
    let span = ident.span();
    let serde = variant.has_serde().then(|| {
        let derive = quote_spanned! {span=>
            #[derive(#private::serde::Serialize, #private::serde::Deserialize)]
        };
        let path = names.serde(TokenStream::new());
        quote!(#derive #path)
    });
    let derives = &options.derives;
    quote_spanned! {span=>
        #[allow(
            dead_code,
            missing_copy_implementations,
            missing_docs,
            clippy::exhaustive_structs,
            clippy::module_name_repetitions,
            clippy::struct_excessive_bools
        )]
        #[derive(::core::fmt::Debug, ::core::clone::Clone #(, #derives)*)]
        #serde
        #(#moved)*
        #vis struct #ident #generics #body
    }
}
