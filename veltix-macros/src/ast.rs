//! What the macro knows of the user's enum, between its syntax and its expansion.

use syn::{Attribute, Ident};

/// One message type. Its code is always usable: where the user's was not, it is a stand-in.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    /// The `#[cfg]`s of the variant. Whatever names the variant must carry them, since it is gone
    /// where they do not hold.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) code: u16,
    /// The name in logs: the identifier in snake case.
    pub(crate) name: String,
    /// The description for people: the first paragraph of the doc comment.
    pub(crate) description: String,
}
