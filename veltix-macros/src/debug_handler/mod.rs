//! `#[veltix::debug_handler]`. The function stays as it is. Beside it, the macro writes checks of
//! its parts, so that the compiler reports each error at the part itself.

mod arguments;
mod checks;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, ItemFn, Type};

use crate::errors::Errors;

/// Limits the arguments of a handler.
const MOST_ARGUMENTS: usize = 8;

/// Expands the attribute.
pub(crate) fn debug_handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = arguments::read(arguments, &mut errors);
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        let first = item.clone().into_iter().next();
        errors.at(first, "`#[veltix::debug_handler]` goes on a function that is a handler");
        return quote!(#item #errors);
    };
    let checks = types(&function, &mut errors)
        .map(|types| checks::expand(&function, &types, &arguments, &mut errors));
    quote!(#item #checks #errors)
}

/// Returns the types of the arguments, if they can be checked one by one.
fn types(function: &ItemFn, errors: &mut Errors) -> Option<Vec<Type>> {
    let signature = &function.sig;
    let mut can_be_checked = true;
    let mut refuse = |tokens: &dyn quote::ToTokens, text: &str| {
        can_be_checked = false;
        errors.at(tokens, text);
    };
    if !signature.generics.params.is_empty() {
        refuse(
            &signature.generics,
            "a generic handler is a handler only for some types: check a function that calls it \
             with concrete types",
        );
    }
    let mut types = Vec::new();
    for argument in &signature.inputs {
        match argument {
            FnArg::Receiver(receiver) => refuse(
                receiver,
                "a handler has no `self`: take its data as `State<S>`, or call the method from a \
                 function",
            ),
            FnArg::Typed(argument) => match &*argument.ty {
                Type::ImplTrait(ty) => refuse(ty, "write a concrete type, not `impl Trait`"),
                ty => types.push(ty.clone()),
            },
        }
    }
    if let Some(ninth) = types.get(MOST_ARGUMENTS) {
        refuse(ninth, "a handler has at most eight arguments: combine some of them in one");
    }
    can_be_checked.then_some(types)
}
