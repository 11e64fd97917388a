//! The parsed form of the user's enum, between its syntax and its expansion.

use syn::{Attribute, Ident};

/// Holds one message type. Its code is always usable: a variant without a usable code has a
/// stand-in.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    /// Holds the `#[cfg]`s of the variant. All code that names the variant must carry them, because
    /// the variant does not exist if they do not hold.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) code: u16,
    /// Holds the name for logs: the identifier in snake case.
    pub(crate) name: String,
    /// Holds the description for people: the first paragraph of the doc comment.
    pub(crate) description: String,
}
