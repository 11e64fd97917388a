//! Parses the arguments of the attribute and the item under it.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ItemEnum, Meta, Path, Token, Visibility, parse_quote};

use crate::errors::Errors;

/// Returns the path of the facade: `::veltix`, or the value of `crate = …`.
///
/// The generated code is in the user's module, where a relative path depends on the names in scope.
/// So only absolute paths are accepted.
pub(crate) fn facade(arguments: TokenStream, errors: &mut Errors) -> Path {
    let mut facade = None;
    let arguments = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(arguments);
    let arguments = arguments.unwrap_or_else(|error| {
        let text = "expected no argument, or `crate = ::path::to::veltix`";
        errors.push(syn::Error::new(error.span(), text));
        Punctuated::new()
    });
    for argument in arguments {
        match argument {
            Meta::NameValue(pair) if pair.path.is_ident("crate") => {
                if facade.is_some() {
                    errors.at(&pair.path, "`crate` is given more than once: keep one");
                }
                facade = absolute(pair.value, errors).or(facade);
            }
            Meta::Path(path) if path.is_ident("crate") => errors
                .at(path, "`crate` needs the path of the facade: `crate = ::path::to::veltix`"),
            other => errors.at(
                other.path(),
                format_args!(
                    "unknown argument `{}`: the only one is `crate = ::path::to::veltix`",
                    text(other.path()),
                ),
            ),
        }
    }
    facade.unwrap_or_else(|| parse_quote!(::veltix))
}

/// Returns a path that means the same everywhere, and reports any other.
pub(crate) fn absolute(value: Expr, errors: &mut Errors) -> Option<Path> {
    let path = match value {
        Expr::Path(path) if path.qself.is_none() => path.path,
        other => {
            errors.at(other, "expected a path: `crate = ::path::to::veltix`");
            return None;
        }
    };
    // A `macro_rules!` of a crate that re-exports the facade writes `$crate`.
    let first = &path.segments[0].ident;
    let is_absolute = path.leading_colon.is_some() || first == "crate" || first == "$crate";
    if !is_absolute {
        errors.at(
            &path,
            format_args!(
                "`{0}` is resolved in the module of the attribute: write an absolute path, \
                 `crate = ::{0}` for a dependency or `crate = crate::{0}` for a module of yours",
                text(&path).trim_start_matches("self::").trim_start_matches("super::"),
            ),
        );
        return None;
    }
    Some(path)
}

/// Returns a path as its author would write it, without the spaces that a token stream prints.
fn text(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// Returns the enum under the attribute.
///
/// # Errors
/// Returns an error if the item is not an enum. The error is at the first token that shows it.
pub(crate) fn item(item: TokenStream) -> syn::Result<ItemEnum> {
    syn::parse2::<Item>(item).map(|Item(item)| item)
}

struct Item(ItemEnum);

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ahead = input.fork();
        ahead.call(Attribute::parse_outer)?;
        ahead.parse::<Visibility>()?;
        if !ahead.peek(Token![enum]) {
            return Err(ahead.error(
                "`#[veltix::message]` goes on an enum: write `enum App { Chat = 200 }`, with a \
                 variant for each kind of message",
            ));
        }
        input.parse().map(Self)
    }
}
