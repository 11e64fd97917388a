//! Finds the generics of an enum that one of its variants uses.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{GenericParam, Generics, WherePredicate};

/// Returns the parameters that these types name. Of their bounds and predicates, it keeps those
/// that name no other parameter.
pub(crate) fn used(generics: &Generics, types: &[TokenStream]) -> Generics {
    let (used, unused): (Vec<&GenericParam>, Vec<&GenericParam>) = generics
        .params
        .iter()
        .partition(|parameter| types.iter().any(|one| names(one, &name(parameter))));
    let is_free = |tokens: &TokenStream| !unused.iter().any(|one| names(tokens, &name(one)));
    let params = used.iter().map(|&parameter| {
        let mut parameter = parameter.clone();
        if let GenericParam::Type(parameter) = &mut parameter {
            let bounds = std::mem::take(&mut parameter.bounds).into_iter();
            parameter.bounds = bounds.filter(|one| is_free(&one.to_token_stream())).collect();
            parameter.default =
                parameter.default.take().filter(|one| is_free(&one.to_token_stream()));
        }
        parameter
    });
    let params: Punctuated<_, _> = params.collect();
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let predicates: Vec<&WherePredicate> = predicates
        .filter(|predicate| {
            let tokens = predicate.to_token_stream();
            is_free(&tokens) && used.iter().any(|one| names(&tokens, &name(one)))
        })
        .collect();
    let mut kept = Generics { where_clause: None, ..generics.clone() };
    kept.params = params;
    if !predicates.is_empty() {
        kept.make_where_clause().predicates.extend(predicates.into_iter().cloned());
    }
    kept
}

/// Adds predicates to the generics of an `impl`. Without generic parameters it adds none, because
/// rustc then checks the types themselves.
pub(crate) fn bounded(generics: &Generics, predicates: &[TokenStream]) -> Generics {
    let mut generics = generics.clone();
    if !generics.params.is_empty() {
        let predicates = predicates.iter().map(|one| -> WherePredicate { syn::parse_quote!(#one) });
        generics.make_where_clause().predicates.extend(predicates);
    }
    generics
}

/// Finds the types that must be serializable so that a value of this type is serializable: the type
/// parameters that it names, or their associated types (`T::Id`). Serde's derive asks for the same.
pub(crate) fn serializable(generics: &Generics, of: &TokenStream, found: &mut Vec<TokenStream>) {
    let mut tokens = of.clone().into_iter().peekable();
    let mut follows_a_path = 0;
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) => serializable(generics, &group.stream(), found),
            TokenTree::Ident(ident) if ident == "PhantomData" => skip_arguments(&mut tokens),
            TokenTree::Ident(ident) if follows_a_path < 2 && is_type(generics, ident) => {
                let mut subject = quote!(#ident);
                while tokens.peek().is_some_and(|next| is_punct(next, ':')) {
                    subject.extend(tokens.by_ref().take(3));
                }
                if !found.iter().any(|one| one.to_string() == subject.to_string()) {
                    found.push(subject);
                }
            }
            _ => {}
        }
        follows_a_path = if is_punct(&token, ':') { follows_a_path + 1 } else { 0 };
    }
}

/// Replaces `Self` by the enum's name in the tokens of a type, because `Self` means another type in
/// a struct.
pub(crate) fn without_self(tokens: TokenStream, this: &TokenStream) -> TokenStream {
    let map = |token: TokenTree| match token {
        TokenTree::Ident(ident) if ident == "Self" => this.clone(),
        TokenTree::Group(group) => {
            let mut mapped = Group::new(group.delimiter(), without_self(group.stream(), this));
            mapped.set_span(group.span());
            TokenTree::from(mapped).into()
        }
        other => other.into(),
    };
    tokens.into_iter().map(map).collect()
}

/// Removes the groups that a `macro_rules!` puts around its arguments.
pub(crate) fn ungrouped(tokens: TokenStream) -> TokenStream {
    let mut inner = tokens.clone().into_iter();
    match (inner.next(), inner.next()) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::None => {
            ungrouped(group.stream())
        }
        _ => tokens,
    }
}

fn name(parameter: &GenericParam) -> String {
    match parameter {
        GenericParam::Type(one) => one.ident.to_string(),
        GenericParam::Const(one) => one.ident.to_string(),
        GenericParam::Lifetime(one) => one.lifetime.to_string(),
    }
}

/// Returns whether a parameter of this name occurs in the tokens, other than as a part of a path.
fn names(tokens: &TokenStream, name: &str) -> bool {
    let mut follows_a_path = 0;
    tokens.clone().into_iter().any(|token| {
        let is_named = match &token {
            TokenTree::Group(group) => names(&group.stream(), name),
            TokenTree::Ident(ident) => follows_a_path < 2 && ident == name,
            _ => false,
        };
        follows_a_path = if is_punct(&token, ':') { follows_a_path + 1 } else { 0 };
        is_named
    })
}

fn is_type(generics: &Generics, ident: &Ident) -> bool {
    generics.type_params().any(|parameter| parameter.ident == *ident)
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// Skips `<…>`.
fn skip_arguments(tokens: &mut impl Iterator<Item = TokenTree>) {
    let mut depth = 0_usize;
    for token in tokens {
        if is_punct(&token, '<') {
            depth += 1;
        } else if is_punct(&token, '>') {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return;
            }
        }
    }
}
