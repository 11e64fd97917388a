//! Writes the generated code beside the user's item, and the errors.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, ItemEnum};

use crate::ast::Variant;
use crate::errors::Errors;
use crate::{bodies, check, derives, parse};

/// Expands `#[veltix::message]`. The item is always part of the output, because the editor would
/// otherwise not know it until the last error is gone.
pub(crate) fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let facade = parse::facade(arguments, &mut errors);
    let mut item = match parse::item(item.clone()) {
        Ok(item) => item,
        Err(error) => {
            errors.push(error);
            return quote!(#item #errors);
        }
    };
    check::take_own_attributes(&mut item, &mut errors);
    if bodies::are_in(&item) {
        let code = bodies::expand(&mut item, &facade, &mut errors);
        return quote!(#item #code #errors);
    }
    match check::check(&mut item, &mut errors) {
        Some(variants) => {
            // The derives come last, so that they see the effect of the user's other attributes.
            item.attrs.extend(derives::missing(&item.attrs));
            let code = expand(&item, &variants, &quote!(#facade::__private));
            quote!(#item #code #errors)
        }
        None => quote!(#item #errors),
    }
}

fn expand(item: &ItemEnum, variants: &[Variant], private: &TokenStream) -> TokenStream {
    let inherent = inherent(item, variants, private);
    let conversions = conversions(&item.ident, variants, private);
    // The `allow`s are for the user's crate: not every generated item is used there, and a variant
    // that is deprecated for its users still is a message type.
    quote! {
        #[allow(dead_code, deprecated)]
        const _: () = {
            #inherent
            #conversions
        };
    }
}

/// Returns the items of the enum itself. They are as visible as the enum, because they cannot be
/// reached from further away, and `unreachable_pub` asks for it.
fn inherent(item: &ItemEnum, variants: &[Variant], private: &TokenStream) -> TokenStream {
    let (ident, vis) = (&item.ident, &item.vis);
    let all = variants.iter().map(|Variant { ident, cfgs, .. }| quote!(#(#cfgs)* Self::#ident));
    let arms = variants.iter().map(|variant| {
        let Variant { ident, cfgs, code, name, description } = variant;
        quote! {
            #(#cfgs)*
            Self::#ident => {
                #private::MessageType::new(#code, #name, #description)
            }
        }
    });
    quote! {
        impl #ident {
            /// Lists all message types of this enum in the order of declaration.
            #vis const ALL: &'static [Self] = &[#(#all),*];

            /// Returns the code, which is the number on the wire.
            #[must_use]
            #vis const fn code(self) -> ::core::primitive::u16 {
                self.message_type().code()
            }

            /// Returns code, name and description as one value.
            #[must_use]
            #vis const fn message_type(self) -> #private::MessageType {
                match self { #(#arms)* }
            }

            /// Creates a registry of all message types of this enum.
            #[must_use]
            #vis fn registry() -> #private::Registry {
                #private::Registry::of_enum(Self::ALL.iter().copied())
            }
        }
    }
}

fn conversions(ident: &Ident, variants: &[Variant], private: &TokenStream) -> TokenStream {
    let name = ident.to_string();
    let arms = variants.iter().map(|Variant { ident, cfgs, code, .. }| {
        quote!(#(#cfgs)* #code => ::core::result::Result::Ok(Self::#ident),)
    });
    // A pattern that is a single name would match a constant of that name in the user's module. So
    // the names begin with underscores. `Self::Error` would be the variant of that name, if there
    // is one.
    quote! {
        #[automatically_derived]
        impl #private::ToMessage for #ident {
            fn to_message(&self) -> ::core::result::Result<
                #private::Message,
                #private::EncodeError,
            > {
                ::core::result::Result::Ok(#private::Message::empty(*self))
            }
        }

        #[automatically_derived]
        impl #private::Typed for #ident {
            fn from_message_ref(
                __arrival: #private::MessageRef<'_>,
                _limit: ::core::primitive::usize,
            ) -> ::core::result::Result<Self, #private::BodyError> {
                let __code = __arrival.code();
                <Self as ::core::convert::TryFrom<::core::primitive::u16>>::try_from(__code)
                    .map_err(|_| #private::BodyError::WrongType { code: __code, expected: #name })
            }
        }

        #[automatically_derived]
        impl #private::Ask for #ident {
            type Reply = #private::Message;
            type Error = ::core::convert::Infallible;
            const ANSWERS: &'static [::core::primitive::u16] = &[];

            fn read(
                __answer: #private::Message,
                _limit: ::core::primitive::usize,
            ) -> ::core::result::Result<
                #private::Message,
                #private::AnswerError<::core::convert::Infallible>,
            > {
                ::core::result::Result::Ok(__answer)
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#ident> for #private::MessageType {
            fn from(__message: #ident) -> Self {
                __message.message_type()
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#ident> for ::core::primitive::u16 {
            fn from(__message: #ident) -> Self {
                __message.code()
            }
        }

        #[automatically_derived]
        impl ::core::convert::TryFrom<::core::primitive::u16> for #ident {
            type Error = #private::UnknownCode;

            fn try_from(
                __code: ::core::primitive::u16,
            ) -> ::core::result::Result<Self, #private::UnknownCode> {
                match __code {
                    #(#arms)*
                    _ => ::core::result::Result::Err(
                        #private::UnknownCode::new(__code, #name),
                    ),
                }
            }
        }
    }
}
