//! Writes the conversions of `from_errors`: the errors of Veltix become this message.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse_quote;

use super::ast::Variant;
use super::names::Names;
use super::traits::located_at;

/// Lists the errors that `veltix::Error` holds, except those of the standard library.
const ERRORS: [&str; 12] = [
    "BindError",
    "BodyError",
    "ConnectError",
    "EncodeError",
    "NotConnected",
    "RestoreError",
    "SendError",
    "ServeError",
    "TagError",
    "TakeOverError",
    "TargetError",
    "TlsConfigError",
];

/// Returns one conversion for each error, all of them by way of `veltix::Error`.
pub(crate) fn expand(variant: &Variant, names: &Names) -> TokenStream {
    let Some(word) = &variant.options.from_errors else { return TokenStream::new() };
    let private = &names.private;
    let (cfgs, message) = (&variant.cfgs, &variant.message);
    let from_error = located_at(word.span(), &quote!(#private::from_error));
    let conversion = |parameters: TokenStream, error: TokenStream, predicates: TokenStream| {
        quote! {
            #(#cfgs)*
            #[automatically_derived]
            impl #parameters ::core::convert::From<#error> for #message #predicates {
                fn from(__error: #error) -> Self {
                    #from_error(__error)
                }
            }
        }
    };
    let (parameters, _, predicates) = variant.generics.split_for_impl();
    let plain = ERRORS.iter().map(|name| {
        let error = format_ident!("{name}");
        conversion(quote!(#parameters), quote!(#private::#error), quote!(#predicates))
    });
    let plain: TokenStream = plain.collect();
    // The error of a call has the type of the peer's own error.
    let mut generics = variant.generics.clone();
    generics.params.push(parse_quote!(__Remote: ::core::fmt::Debug));
    let (parameters, _, predicates) = generics.split_for_impl();
    let of_call = conversion(
        quote!(#parameters),
        quote!(#private::RequestError<__Remote>),
        quote!(#predicates),
    );
    quote!(#plain #of_call)
}
