//! Writes one small function per check, with the types at the places where the user wrote them.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericArgument, ItemFn, PathArguments, ReturnType, Type, TypeReference, parse_quote};

use super::arguments::{Arguments, Method};
use crate::errors::Errors;

/// Lists arguments that need no body.
const WITHOUT_BODY: [&str; 7] =
    ["Extension", "Hub", "Identity", "Peer", "PeerCertificates", "RequestId", "State"];

/// Returns the checks of a function with arguments of these types.
pub(crate) fn expand(
    function: &ItemFn,
    types: &[Type],
    arguments: &Arguments,
    errors: &mut Errors,
) -> TokenStream {
    let facade = &arguments.facade;
    let private = quote!(#facade::__private);
    let Some(state) = state(types, arguments, errors) else {
        return TokenStream::new();
    };
    let (input, message) = input(types, arguments, &private);

    // An argument that needs no body gets the more precise error of a part, also in the last place.
    let takes_body = |ty: &&Type| !WITHOUT_BODY.iter().any(|name| is_named(ty, name));
    let last = types.last().filter(takes_body);
    let parts = &types[..types.len() - usize::from(last.is_some())];
    let parts = parts.iter().map(|ty| quote_spanned!(ty.span()=> part::<#ty, #state>;));
    let last = last.map(|ty| match ty {
        Type::Reference(TypeReference { elem, lifetime, mutability: None, .. }) => {
            let problem = if function.sig.asyncness.is_some() {
                Some(
                    "an async handler outlives the buffer that the body is in: take `Bytes` or \
                     `Text`, or make it a plain function",
                )
            } else if method(types, arguments) != Method::Route {
                Some("only a handler for `route` or `fallback` can borrow the body: take `Msg<T>`")
            } else if lifetime.is_some() {
                Some("the body is borrowed only for the call: remove the lifetime")
            } else {
                None
            };
            if let Some(problem) = problem {
                errors.at(ty, problem);
            }
            quote_spanned!(ty.span()=> borrowed::<#elem>;)
        }
        _ => quote_spanned!(ty.span()=> last::<#ty, #state, #input, _>;),
    });
    let asked = message.map(|ty| quote_spanned!(ty.span()=> asked::<#ty>;));
    let output = output(function).map(|output| match message {
        Some(message) => quote_spanned!(output.span()=> answer::<#output, #message>;),
        None => quote_spanned!(output.span()=> output::<#output, #input>;),
    });
    let checks = parts.chain(last).chain(asked).chain(output);
    let checks = checks.map(|check| quote!(let _ = #private::handler::#check));
    let ident = &function.sig.ident;
    let future = function.sig.asyncness.map(|_| {
        let made = types.iter().map(|ty| quote!(#private::handler::made::<#ty>()));
        quote_spanned!(ident.span()=> #private::handler::future(#ident(#(#made),*));)
    });
    let cfgs = function.attrs.iter().filter(|one| one.path().is_ident("cfg"));
    quote! {
        #(#cfgs)*
        #[allow(warnings, clippy::all, clippy::pedantic)]
        const _: () = {
            fn __check() {
                #(#checks)*
                #future
            }
        };
    }
}

/// Returns the output of the function or of its future. Returns `None` if that type has no name.
fn output(function: &ItemFn) -> Option<Type> {
    match &function.sig.output {
        // Without a written type, errors are reported at the name of the function.
        ReturnType::Default => {
            let unit = quote_spanned!(function.sig.ident.span()=> ());
            syn::parse2(unit).ok()
        }
        ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_) | Type::Never(_)) => None,
        ReturnType::Type(_, ty) => Some((**ty).clone()),
    }
}

/// Returns the state from the attribute, or from the `State<S>` among the arguments.
fn state(types: &[Type], arguments: &Arguments, errors: &mut Errors) -> Option<Type> {
    if let Some(state) = &arguments.state {
        return Some(state.clone());
    }
    let mut states: Vec<&Type> = Vec::new();
    for state in types.iter().filter_map(|ty| argument_of(ty, "State")) {
        if !states.iter().any(|known| is_same(known, state)) {
            states.push(state);
        }
    }
    match states.as_slice() {
        [] => Some(parse_quote!(())),
        [state] => Some((*state).clone()),
        [_, second, ..] => {
            errors.at(
                second,
                "the handler takes parts of a state: name the state that has them, with \
                 `#[veltix::debug_handler(state = S)]`",
            );
            None
        }
    }
}

/// Returns the input of the handler, and the typed message in it, if there is one.
fn input<'a>(
    types: &'a [Type],
    arguments: &Arguments,
    private: &TokenStream,
) -> (TokenStream, Option<&'a Type>) {
    // A `Msg` that does not come last gets the error of its place, and no error beside it that
    // assumes a handler for `route`.
    let message = types.iter().rev().find_map(message_of);
    match (method(types, arguments), message) {
        (Method::On, Some(message)) => (quote!(#private::handler::Asked<#message>), Some(message)),
        (Method::On | Method::Route, _) => (quote!(#private::Message), None),
        (Method::OnConnect, _) => (quote!(()), None),
        (Method::OnDisconnect, _) => (quote!(#private::handler::Disconnected), None),
    }
}

/// Returns the method of the router from the attribute, or the one that a `Msg<T>` or the last argument
/// suggests.
fn method(types: &[Type], arguments: &Arguments) -> Method {
    let ends_with = |name| types.last().is_some_and(|ty| is_named(ty, name));
    match (arguments.method, types.iter().find_map(message_of)) {
        (Some(method), _) => method,
        (None, Some(_)) => Method::On,
        (None, None) if ends_with("Disconnected") => Method::OnDisconnect,
        (None, None) => Method::Route,
    }
}

/// Returns the `T` of `Msg<T>`, also inside an `Option` or a `Result`.
fn message_of(ty: &Type) -> Option<&Type> {
    let inner = argument_of(ty, "Option").or_else(|| argument_of(ty, "Result")).unwrap_or(ty);
    argument_of(inner, "Msg")
}

/// Returns the first argument of a generic type of this name.
fn argument_of<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(argument) => Some(argument),
        _ => None,
    }
}

fn is_same(one: &Type, other: &Type) -> bool {
    one.to_token_stream().to_string() == other.to_token_stream().to_string()
}

fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|one| one.ident == name))
}
