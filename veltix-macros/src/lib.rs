//! The attribute macros of Veltix; use them through the `veltix` crate, which documents them.
//!
//! One macro goes one way: `parse` reads the tokens, `check` finds what is wrong (`codes`: with the
//! codes), `expand` writes the code (`derives`: which ones are missing). Enums whose variants have
//! bodies turn off into `bodies`, which goes the same way. What is wrong is collected in `errors`
//! and reported together, beside the user's item and never instead of it.

mod ast;
mod bodies;
mod check;
mod codes;
mod debug_handler;
mod derives;
mod errors;
mod expand;
mod naming;
mod parse;

use proc_macro::TokenStream;

/// Turns an enum into message types.
#[proc_macro_attribute]
pub fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::message(arguments.into(), item.into()).into()
}

/// Says which part of a handler does not fit.
#[proc_macro_attribute]
pub fn debug_handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    debug_handler::debug_handler(arguments.into(), item.into()).into()
}
