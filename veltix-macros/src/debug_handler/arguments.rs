//! The arguments in the parentheses of the attribute.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Ident, Path, Token, Type, parse_quote};

use crate::errors::Errors;
use crate::parse;

/// Lists the methods of the router that a handler may be written for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    On,
    Route,
    OnConnect,
    OnDisconnect,
}

/// Holds all arguments.
pub(crate) struct Arguments {
    pub(crate) facade: Path,
    pub(crate) state: Option<Type>,
    pub(crate) method: Option<Method>,
}

const EXPECTED: &str = "expected `state = S`, or the method of the router that the handler is for: \
                        `on`, `route`, `on_connect` or `on_disconnect`";

/// Reads the arguments, and reports unreadable ones.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Arguments {
    let facade: Path = parse_quote!(::veltix);
    let mut arguments = Arguments { facade, state: None, method: None };
    let entries = |input: ParseStream<'_>| {
        while !input.is_empty() {
            arguments.entry(input, errors)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    if let Err(error) = entries.parse2(tokens) {
        errors.push(error);
    }
    arguments
}

impl Arguments {
    fn entry(&mut self, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        let ahead = input.fork();
        let word = input.call(Ident::parse_any).map_err(|_| ahead.error(EXPECTED))?;
        self.method = match word.to_string().as_str() {
            "state" => {
                input.parse::<Token![=]>()?;
                self.state = Some(input.parse()?);
                return Ok(());
            }
            "crate" => {
                input.parse::<Token![=]>()?;
                if let Some(path) = parse::absolute(input.parse()?, errors) {
                    self.facade = path;
                }
                return Ok(());
            }
            "on" => Some(Method::On),
            "route" | "fallback" => Some(Method::Route),
            "on_connect" => Some(Method::OnConnect),
            "on_disconnect" => Some(Method::OnDisconnect),
            _ => return Err(syn::Error::new(word.span(), EXPECTED)),
        };
        Ok(())
    }
}
