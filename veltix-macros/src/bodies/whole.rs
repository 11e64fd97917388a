//! Writes the implementations of the enum: it encodes like the structs of its variants, and decodes
//! by code.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemEnum;

use super::ast::{Field, Messages, Shape, Variant};
use super::attribute::Class;
use super::check::{binding, latest_field};
use super::generics::{bounded, serializable};
use super::names::Names;
use super::traits::{encoded, encoded_field, encoding_methods, message};

/// Returns all implementations.
pub(crate) fn expand(item: &ItemEnum, messages: &Messages, names: &Names) -> TokenStream {
    let inherent = inherent(item, messages, names);
    let shadow = shadow(item, messages, names);
    let to_message = to_message(item, messages, names);
    let typed = typed(item, messages, names);
    let codes = conditional_codes(item, messages);
    quote!(#inherent #shadow #to_message #typed #codes)
}

fn inherent(item: &ItemEnum, messages: &Messages, names: &Names) -> TokenStream {
    let (vis, private) = (&item.vis, &names.private);
    let (parameters, arguments, predicates) = item.generics.split_for_impl();
    let ident = &item.ident;
    let types = messages.variants.iter().map(|variant| {
        let (cfgs, message_type) = (&variant.cfgs, variant.message_type(private));
        quote!(#(#cfgs)* #message_type)
    });
    let arms = messages.variants.iter().map(|variant| {
        let (ident, cfgs) = (&variant.ident, &variant.cfgs);
        let message_type = variant.message_type(private);
        quote!(#(#cfgs)* Self::#ident { .. } => #message_type,)
    });
    // Without variants there is no reference to match on.
    let subject = if messages.variants.is_empty() { quote!(*self) } else { quote!(self) };
    quote! {
        impl #parameters #ident #arguments #predicates {
            /// Lists the types of all messages of this enum in the order of declaration.
            #vis const TYPES: &'static [#private::MessageType] = &[#(#types),*];

            /// Returns the code, which is the number on the wire.
            #[must_use]
            #vis const fn code(&self) -> ::core::primitive::u16 {
                self.message_type().code()
            }

            /// Returns code, name and description as one value.
            #[must_use]
            #vis const fn message_type(&self) -> #private::MessageType {
                match #subject { #(#arms)* }
            }

            /// Creates a registry of all message types of this enum.
            #[must_use]
            #vis fn registry() -> #private::Registry {
                #private::Registry::of_enum(Self::TYPES.iter().copied())
            }
        }
    }
}

/// Returns the shadow of the enum, by which serde serializes the fields of a variant in place. A
/// struct of references would not work, because the functions in `with` and `skip_serializing_if`
/// take the fields' own types.
fn shadow(item: &ItemEnum, messages: &Messages, names: &Names) -> TokenStream {
    if !messages.variants.iter().any(Variant::is_shadowed) {
        return TokenStream::new();
    }
    let private = &names.private;
    let this = &messages.this;
    let generics = bounded(&item.generics, &serialize_predicates(item, messages, names));
    let bounds = generics.where_clause.as_ref().map(|clause| &clause.predicates);
    let bounds = quote!(#bounds).to_string();
    let remote = item.ident.to_string();
    let attribute = names.serde(quote!(remote = #remote, untagged, bound(serialize = #bounds)));
    let variants = messages.variants.iter().map(|variant| {
        let Variant { ident, cfgs, shadowed, .. } = variant;
        let is_shadowed = variant.is_shadowed();
        let skip = (!is_shadowed).then(|| quote!(#[serde(skip)]));
        let shadowed = is_shadowed.then_some(shadowed).into_iter().flatten();
        let fields = variant.fields().iter().map(|field| {
            let Field { ident, cfgs, moved, ty } = field;
            let moved = moved.iter().filter(|one| is_shadowed && one.meta.path().is_ident("serde"));
            let name = ident.as_ref().map(|ident| quote!(#ident:));
            quote!(#(#cfgs)* #(#moved)* #name #ty)
        });
        let is_tuple = variant.fields().first().is_some_and(|one| one.ident.is_none());
        let fields = match &variant.shape {
            Shape::Empty => quote!(),
            _ if is_tuple => quote!((#(#fields),*)),
            Shape::Broken(fields) if fields.is_empty() => quote!(()),
            _ => quote!({ #(#fields),* }),
        };
        quote!(#(#cfgs)* #skip #(#shadowed)* #ident #fields)
    });
    let (declared, plain) = (&item.generics, &item.generics.where_clause);
    let mut generics = generics.clone();
    generics.params.insert(0, syn::parse_quote!('__this));
    let (parameters, _, predicates) = generics.split_for_impl();
    let (_, arguments, _) = item.generics.split_for_impl();
    let turbofish = arguments.as_turbofish();
    quote! {
        #[derive(#private::serde::Serialize)]
        #attribute
        enum __Shadow #declared #plain { #(#variants),* }

        struct __Body<'__this, M>(&'__this M);

        #[automatically_derived]
        impl #parameters #private::serde::Serialize for __Body<'__this, #this> #predicates {
            fn serialize<__S: #private::serde::Serializer>(
                &self,
                __serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                __Shadow #turbofish::serialize(self.0, __serializer)
            }
        }
    }
}

/// Returns the predicates on a generic enum's type parameters that its shadow needs.
fn serialize_predicates(item: &ItemEnum, messages: &Messages, names: &Names) -> Vec<TokenStream> {
    let serde = names.serde_path();
    let mut subjects = Vec::new();
    for variant in messages.variants.iter().filter(|one| one.is_shadowed()) {
        for field in variant.fields().iter().filter(|one| one.needs_serialize()) {
            serializable(&item.generics, &field.ty, &mut subjects);
        }
    }
    subjects.iter().map(|subject| quote!(#subject: #serde::Serialize)).collect()
}

/// Returns the predicates under which a generic enum has this trait: the structs of its generic
/// variants have it, and the fields can be encoded in place.
fn predicates(
    item: &ItemEnum,
    messages: &Messages,
    names: &Names,
    name: &TokenStream,
) -> Vec<TokenStream> {
    let private = &names.private;
    let mut predicates = serialize_predicates(item, messages, names);
    for variant in messages.variants.iter().filter(|one| !one.generics.params.is_empty()) {
        let message = &variant.message;
        predicates.push(quote!(#message: #name));
        if variant.has_serde() {
            predicates.push(quote!(#message: #private::serde::de::DeserializeOwned));
        }
        if needs_clone(variant) {
            let types = variant.fields().iter().map(|field| &field.ty);
            predicates.extend(types.map(|ty| quote!(#ty: ::core::clone::Clone)));
        }
    }
    predicates
}

fn to_message(item: &ItemEnum, messages: &Messages, names: &Names) -> TokenStream {
    let private = &names.private;
    let arms = messages.variants.iter().map(|variant| {
        let (ident, cfgs) = (&variant.ident, &variant.cfgs);
        let (pattern, value) = arm(variant, names);
        quote!(#(#cfgs)* Self::#ident #pattern => #value,)
    });
    let methods = encoding_methods(&quote!(match self { #(#arms)* }), names);
    let needed = predicates(item, messages, names, &quote!(#private::ToMessage));
    let generics = bounded(&item.generics, &needed);
    let this = &messages.this;
    let (parameters, _, predicates) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters #private::ToMessage for #this #predicates {
            #methods
        }

        #[automatically_derived]
        impl #parameters #private::Ask for #this #predicates {
            type Reply = #private::Message;
            type Error = ::core::convert::Infallible;

            const ANSWERS: &'static [::core::primitive::u16] = &[];

            fn read(
                __answer: #private::Message,
                _: ::core::primitive::usize,
            ) -> ::core::result::Result<
                #private::Message,
                #private::AnswerError<::core::convert::Infallible>,
            > {
                ::core::result::Result::Ok(__answer)
            }
        }
    }
}

/// Returns whether encoding has to build the struct, because nothing else writes its form.
fn needs_clone(variant: &Variant) -> bool {
    variant.has_serde() && !variant.fits_a_shadow
}

/// Returns the pattern of a variant and the expression for its message.
fn arm(variant: &Variant, names: &Names) -> (TokenStream, TokenStream) {
    let private = &names.private;
    let named = match &variant.options.class {
        Some(Class::Latest(_, Some(name))) => latest_field(variant, name),
        _ => None,
    };
    let in_place = || Some(encoded(variant, &quote!(&__Body(self)), names));
    let (pattern, body) = match &variant.shape {
        Shape::Broken(_) => return (quote!({ .. }), quote!(::core::unreachable!())),
        Shape::Itself(_) => {
            return (
                quote!((__message)),
                quote!(#private::ToMessage::to_message_within(__message, __limit)),
            );
        }
        _ if needs_clone(variant) => return cloning_arm(variant, names),
        Shape::Empty => (TokenStream::new(), None),
        Shape::Newtype(field) if !variant.is_shadowed() => {
            let bound = binding(0, field);
            let body = encoded_field(variant, field, &quote!(#bound), names);
            (quote!((#bound)), Some(body))
        }
        // The shadow writes the body, so only the field that is the key is bound here.
        Shape::Newtype(_) => {
            let bound = named.map_or_else(|| quote!(..), |(_, bound)| quote!(#bound));
            (quote!((#bound)), in_place())
        }
        Shape::Named(_) => {
            let bound =
                named.map(|(Field { ident, cfgs, .. }, bound)| quote!(#(#cfgs)* #ident: #bound,));
            (quote!({ #bound .. }), in_place())
        }
    };
    (pattern, message(variant, body, |_, bound| quote!(#bound), names))
}

/// Returns the pattern and the expression for a variant that is encoded through its struct, which
/// is built from clones.
fn cloning_arm(variant: &Variant, names: &Names) -> (TokenStream, TokenStream) {
    let (private, ident) = (&names.private, &variant.ident);
    let fields = variant.fields().iter().enumerate().map(|(at, field)| {
        let (cfgs, bound) = (&field.cfgs, binding(at, field));
        let name = field.ident.as_ref().map(|ident| quote!(#ident:));
        let pattern = quote!(#(#cfgs)* #name #bound);
        (pattern, quote!(#(#cfgs)* #name ::core::clone::Clone::clone(#bound)))
    });
    let (patterns, values): (Vec<_>, Vec<_>) = fields.unzip();
    let (pattern, message) = match variant.shape {
        Shape::Named(_) => (quote!({ #(#patterns),* }), quote!(#ident { #(#values),* })),
        _ => (quote!((#(#patterns),*)), quote!(#ident(#(#values),*))),
    };
    (pattern, quote!(#private::ToMessage::to_message_within(&#message, __limit)))
}

fn typed(item: &ItemEnum, messages: &Messages, names: &Names) -> TokenStream {
    let private = &names.private;
    let whole = item.ident.to_string();
    let arms = messages.variants.iter().map(|variant| {
        let Variant { code, cfgs, message, shape, .. } = variant;
        if matches!(shape, Shape::Broken(_)) {
            return TokenStream::new();
        }
        quote! {
            #(#cfgs)*
            #code => ::core::result::Result::map(
                <#message as #private::Typed>::from_message_ref(__arrival, __limit),
                ::core::convert::From::from,
            ),
        }
    });
    let mut needed = predicates(item, messages, names, &quote!(#private::Typed));
    needed.push(quote!(Self: ::core::marker::Send + 'static));
    let generics = bounded(&item.generics, &needed);
    let this = &messages.this;
    let (parameters, _, predicates) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters #private::Typed for #this #predicates {
            fn from_message_ref(
                __arrival: #private::MessageRef<'_>,
                __limit: ::core::primitive::usize,
            ) -> ::core::result::Result<Self, #private::BodyError> {
                match __arrival.code() {
                    #(#arms)*
                    __code => ::core::result::Result::Err(
                        #private::body::wrong_code(__code, #whole),
                    ),
                }
            }
        }
    }
}

/// Returns an enum of the codes of variants under a `#[cfg]`. Only rustc knows which of these
/// variants remain, and this enum lets it refuse two that remain with the same code (E0081).
fn conditional_codes(item: &ItemEnum, messages: &Messages) -> TokenStream {
    if messages.variants.iter().all(|one| one.cfgs.is_empty()) {
        return TokenStream::new();
    }
    let codes = messages.variants.iter().map(|variant| {
        let Variant { ident, cfgs, code, options, .. } = variant;
        let mut code = proc_macro2::Literal::u16_unsuffixed(*code);
        if let Some(written) = &options.code {
            code.set_span(syn::spanned::Spanned::span(written));
        }
        quote!(#(#cfgs)* #ident = #code)
    });
    let name = quote::format_ident!("__CodesOf{}", item.ident);
    quote!(#[repr(u16)] enum #name { #(#codes),* })
}
