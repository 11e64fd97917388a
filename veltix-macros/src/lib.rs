//! The attribute macros of Veltix. Use them through the `veltix` crate, which documents them.
//!
//! A macro has one direction: `parse` reads the tokens, `check` finds errors (`codes`: in the
//! codes), and `expand` writes the code (`derives`: the missing derives). Enums whose variants have
//! bodies are processed in `bodies`, in the same direction. The errors are collected in `errors`
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

/// Reports the part of a handler that does not fit.
#[proc_macro_attribute]
pub fn debug_handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    debug_handler::debug_handler(arguments.into(), item.into()).into()
}
