//! Writes the implementations for one message: for the struct of a variant, or for the user's own
//! type.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, Ident, ItemEnum};

use super::ast::{Field, Messages, Shape, Variant};
use super::attribute::{Class, Encoding};
use super::check::latest_field;
use super::generics::bounded;
use super::names::Names;

/// Returns all implementations.
pub(crate) fn expand(
    variant: &Variant,
    messages: &Messages,
    item: &ItemEnum,
    names: &Names,
) -> TokenStream {
    let parts = [
        from(variant, messages, item),
        to_message(variant, names),
        typed(variant, names),
        ask(variant, names),
    ];
    let cfgs = &variant.cfgs;
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| quote!(#(#cfgs)* #[automatically_derived] #part))
        .collect()
}

/// Returns the expression that serializes `value`, an expression of a reference, as this variant's
/// body. The variant's own type reads it back.
pub(crate) fn encoded(variant: &Variant, value: &TokenStream, names: &Names) -> TokenStream {
    let (private, back, limit) = (&names.private, &variant.message, limit(variant));
    match &variant.options.encoding {
        Some(Encoding::Postcard(word)) => {
            let postcard = located_at(word.span(), &quote!(#private::body::Postcard));
            quote!(<#postcard as #private::body::Encoding>::encode::<_, #back>(#value, #limit)?)
        }
        _ => quote!(#private::body::to_json::<_, #back>(#value, #limit)?),
    }
}

/// Returns the expression for the limit of this variant's body: its own, or the parameter
/// `__limit`.
fn limit(variant: &Variant) -> TokenStream {
    match &variant.options.max {
        Some(max) => quote!({ const __MAX: ::core::primitive::usize = #max; __MAX }),
        None => quote!(__limit),
    }
}

/// Returns the methods that encode: `encode` is the body of the one with a limit.
pub(crate) fn encoding_methods(encode: &TokenStream, names: &Names) -> TokenStream {
    let private = &names.private;
    let result = quote!(::core::result::Result<#private::Message, #private::EncodeError>);
    quote! {
        fn to_message(&self) -> #result {
            #private::ToMessage::to_message_within(self, #private::MAX_TYPED_BODY)
        }

        #[allow(unused_variables)]
        fn to_message_within(&self, __limit: ::core::primitive::usize) -> #result {
            #encode
        }
    }
}

/// Returns the expression for the body of a variant with one field, which is at `value`.
pub(crate) fn encoded_field(
    variant: &Variant,
    field: &Field,
    value: &TokenStream,
    names: &Names,
) -> TokenStream {
    let private = &names.private;
    let (ty, span) = (&field.ty, field.ty.span());
    let body = match &variant.options.encoding {
        Some(Encoding::Text(_)) => {
            quote_spanned!(span=> <#ty as #private::body::TextBody>::to_body(#value))
        }
        Some(Encoding::Raw(_)) => {
            quote_spanned!(span=> <#ty as #private::body::RawBody>::to_body(#value))
        }
        _ => return encoded(variant, value, names),
    };
    let limit = limit(variant);
    quote!(#private::body::sized(#body, #limit)?)
}

/// Returns a path whose errors are reported at `span`, but whose names are resolved as before.
pub(super) fn located_at(span: Span, path: &TokenStream) -> TokenStream {
    let locate = |mut token: TokenTree| {
        token.set_span(token.span().located_at(span));
        token
    };
    path.clone().into_iter().map(locate).collect()
}

/// Returns the expression for the message of this variant, with its body and its class.
pub(crate) fn message(
    variant: &Variant,
    body: Option<TokenStream>,
    field: impl Fn(&Field, &Ident) -> TokenStream,
    names: &Names,
) -> TokenStream {
    let private = &names.private;
    let message_type = variant.message_type(private);
    let message = match body {
        Some(body) => quote!(#private::Message::new(#message_type, #body)),
        None => quote!(#private::Message::empty(#message_type)),
    };
    let class = variant.options.class.as_ref().map(|class| match class {
        Class::Policy(policy) => quote!(.on_full(#private::OverflowPolicy::#policy)),
        Class::Latest(word, None) => quote_spanned!(word.span()=> .latest(())),
        Class::Latest(_, Some(name)) => {
            // A name that belongs to no field has been reported.
            latest_field(variant, name).map_or_else(TokenStream::new, |(one, bound)| {
                let (ty, key) = (&one.ty, field(one, &bound));
                quote_spanned! {ty.span()=>
                    .latest(<&#ty as ::core::convert::Into<#private::Key>>::into(#key))
                }
            })
        }
    });
    quote!(::core::result::Result::Ok(#message #class))
}

fn from(variant: &Variant, messages: &Messages, item: &ItemEnum) -> TokenStream {
    let Variant { ident, message, .. } = variant;
    let this = &messages.this;
    let (parameters, _, predicates) = item.generics.split_for_impl();
    let built = match &variant.shape {
        Shape::Empty => quote!(Self::#ident),
        Shape::Named(fields) => {
            let fields = fields
                .iter()
                .map(|Field { ident, cfgs, .. }| quote!(#(#cfgs)* #ident: __message.#ident));
            quote!(Self::#ident { #(#fields),* })
        }
        Shape::Newtype(_) => quote!(Self::#ident(__message.0)),
        Shape::Itself(_) => quote!(Self::#ident(__message)),
        Shape::Broken(_) => return TokenStream::new(),
    };
    let unused = matches!(variant.fields(), []).then(|| quote!(#[allow(unused_variables)]));
    quote! {
        impl #parameters ::core::convert::From<#message> for #this #predicates {
            #unused
            fn from(__message: #message) -> Self {
                #built
            }
        }
    }
}

fn to_message(variant: &Variant, names: &Names) -> TokenStream {
    let private = &names.private;
    let body = match &variant.shape {
        Shape::Empty => None,
        Shape::Named(_) | Shape::Itself(_) => Some(encoded(variant, &quote!(self), names)),
        Shape::Newtype(_) if variant.has_serde() => Some(encoded(variant, &quote!(self), names)),
        Shape::Newtype(field) => Some(encoded_field(variant, field, &quote!(&self.0), names)),
        Shape::Broken(_) => None,
    };
    let field = |field: &Field, _: &Ident| match &field.ident {
        Some(ident) => quote!(&self.#ident),
        None if matches!(variant.shape, Shape::Itself(_)) => quote!(self),
        None => quote!(&self.0),
    };
    let message = message(variant, body, field, names);
    let [is_a_body, _] = self_is_a_body(private);
    let generics = bounded(&variant.generics, &[is_a_body]);
    let methods = encoding_methods(&message, names);
    implementation(variant, &generics, quote!(#private::ToMessage), methods)
}

fn typed(variant: &Variant, names: &Names) -> TokenStream {
    let private = &names.private;
    let Variant { code, name, options, .. } = variant;
    let limit = limit(variant);
    let body = quote!(__arrival.body());
    let read = match (&variant.shape, &options.encoding) {
        (Shape::Empty, _) => quote!(::core::result::Result::Ok(Self)),
        (Shape::Broken(_), _) => quote!(::core::unreachable!()),
        (Shape::Newtype(Field { ty, .. }), Some(Encoding::Text(_))) => {
            let read = quote_spanned! {ty.span()=>
                <#ty as #private::body::TextBody>::of_body(#body)
            };
            quote!(::core::result::Result::map(#read, Self))
        }
        (Shape::Newtype(Field { ty, .. }), Some(Encoding::Raw(_))) => {
            let read = quote_spanned! {ty.span()=>
                <#ty as #private::body::RawBody>::of_body(__arrival.into_body())
            };
            quote!(::core::result::Result::Ok(Self(#read)))
        }
        (_, Some(Encoding::Postcard(word))) => {
            let postcard = located_at(word.span(), &quote!(#private::body::Postcard));
            quote!(<#postcard as #private::body::Encoding>::decode(#body))
        }
        (Shape::Named(_), _) => quote!(#private::body::from_json_object(#body)),
        _ => quote!(#private::body::from_json(#body)),
    };
    let check = match &variant.shape {
        Shape::Empty => quote! {
            let _ = __limit;
            #private::body::check_code(&__arrival, #code, #name)?;
        },
        _ => quote!(#private::body::check(&__arrival, #code, #name, #limit)?;),
    };
    let unused = options.max.as_ref().map(|_| quote!(#[allow(unused_variables)]));
    let generics = bounded(&variant.generics, &self_is_a_body(private));
    let typed = implementation(
        variant,
        &generics,
        quote!(#private::Typed),
        quote! {
            #unused
            fn from_message_ref(
                __arrival: #private::MessageRef<'_>,
                __limit: ::core::primitive::usize,
            ) -> ::core::result::Result<Self, #private::BodyError> {
                #check
                #read
            }
        },
    );
    let message_type = variant.message_type(private);
    let reply = match &options.reply {
        Some(reply) => reply.to_token_stream(),
        None => quote!(#private::NoReply),
    };
    let error = match &options.error {
        Some(error) => quote!(#private::Told<#error>),
        None => quote!(#private::NoError),
    };
    let max = options.max.as_ref().map(|_| {
        let usize = quote!(::core::primitive::usize);
        quote! {
            const MAX: ::core::option::Option<#usize> = ::core::option::Option::Some(#limit);
        }
    });
    let cfgs = &variant.cfgs;
    let message = implementation(
        variant,
        &generics,
        quote!(#private::TypedMessage),
        quote! {
            const TYPE: #private::MessageType = #message_type;
            #max

            type Reply = #reply;
            type Error = #error;
        },
    );
    quote!(#typed #(#cfgs)* #[automatically_derived] #message)
}

fn ask(variant: &Variant, names: &Names) -> TokenStream {
    let private = &names.private;
    let code =
        |ty: &syn::Type| quote_spanned!(ty.span()=> <#ty as #private::TypedMessage>::TYPE.code());
    let (reply, error, codes, read) = match (&variant.options.reply, &variant.options.error) {
        (Some(reply), Some(error)) => {
            let codes = [code(reply), code(error)];
            let read = quote_spanned!(reply.span()=> #private::read_reply_or_error);
            (
                quote!(#reply),
                quote!(#error),
                quote!(#(#codes),*),
                quote!(#read::<#reply, #error>(__answer, __limit)),
            )
        }
        (Some(reply), None) => {
            let read = quote_spanned!(reply.span()=> #private::read_reply);
            (
                quote!(#reply),
                quote!(::core::convert::Infallible),
                code(reply),
                quote!(#read::<#reply>(__answer, __limit)),
            )
        }
        _ => (
            quote!(#private::Message),
            quote!(::core::convert::Infallible),
            TokenStream::new(),
            quote!({
                let _ = __limit;
                ::core::result::Result::Ok(__answer)
            }),
        ),
    };
    let answers = [&variant.options.reply, &variant.options.error].into_iter().flatten();
    let answers = answers.map(|answer| quote!(#answer: #private::TypedMessage));
    let predicates: Vec<_> = self_is_a_body(private).into_iter().chain(answers).collect();
    let generics = bounded(&variant.generics, &predicates);
    implementation(
        variant,
        &generics,
        quote!(#private::Ask),
        quote! {
            type Reply = #reply;
            type Error = #error;

            const ANSWERS: &'static [::core::primitive::u16] = &[#codes];

            fn read(
                __answer: #private::Message,
                __limit: ::core::primitive::usize,
            ) -> ::core::result::Result<#reply, #private::AnswerError<#error>> {
                #read
            }
        },
    )
}

/// Checks that each part of a body can be written and read. The check stands at the part's own
/// type, before the derives of serde report the same problem several times. Generic parts are
/// checked at their use.
pub(crate) fn check_parts(variant: &Variant, names: &Names) -> TokenStream {
    let private = &names.private;
    let is_serde = variant.has_serde() || matches!(variant.shape, Shape::Itself(_));
    if !is_serde || !variant.generics.params.is_empty() || !variant.fits_a_shadow {
        return TokenStream::new();
    }
    let fields = variant.fields().iter().filter(|one| one.is_plain());
    let cfgs = &variant.cfgs;
    fields
        .map(|Field { ty, cfgs: own, .. }| {
            let check = quote_spanned!(ty.span()=> #private::body::check_part::<#ty>());
            quote!(#(#cfgs)* #(#own)* const _: () = #check;)
        })
        .collect()
}

/// Returns the predicates by which a generic struct can be read and written.
fn self_is_a_body(private: &TokenStream) -> [TokenStream; 2] {
    [
        quote!(Self: #private::serde::Serialize + #private::serde::de::DeserializeOwned),
        quote!(Self: ::core::marker::Send + 'static),
    ]
}

/// Returns an implementation for the message of this variant.
fn implementation(
    variant: &Variant,
    generics: &Generics,
    name: TokenStream,
    items: TokenStream,
) -> TokenStream {
    let message = &variant.message;
    let (parameters, _, predicates) = generics.split_for_impl();
    quote!(impl #parameters #name for #message #predicates { #items })
}
