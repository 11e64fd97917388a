//! The parsed form of an enum whose variants have bodies.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Generics, Ident, Type};

use super::attribute::Options;
use super::conditional::Conditional;

/// Holds the enum.
pub(crate) struct Messages {
    /// Holds the name of the enum with its generic arguments.
    pub(crate) this: TokenStream,
    pub(crate) variants: Vec<Variant>,
}

/// Holds one message. Its code and name are always usable, even if the user's were not.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    /// Holds the `#[cfg]`s of the variant. All code that names the variant must carry them.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) code: u16,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) options: Options,
    pub(crate) shape: Shape,
    /// Holds the generics of the enum that the variant uses.
    pub(crate) generics: Generics,
    /// Holds the type that stands for this message alone. Its span is the place at which errors are
    /// reported.
    pub(crate) message: TokenStream,
    /// Holds the attributes that the struct takes over.
    pub(crate) moved: Vec<Conditional>,
    /// Holds the attributes that the variant of the shadow takes over.
    pub(crate) shadowed: Vec<Conditional>,
    /// Is true if the shadow can serialize the variant like the struct.
    pub(crate) fits_a_shadow: bool,
}

/// Describes the content of a variant.
pub(crate) enum Shape {
    /// The variant has no content: `Typing`.
    Empty,
    /// The variant has named fields: `Say { text: String }`.
    Named(Vec<Field>),
    /// The variant has one field of another type: `Motd(String)`.
    Newtype(Field),
    /// The field is the message itself: `Roster(Roster)`.
    Itself(Field),
    /// No message can have this content. The error has been reported.
    Broken(Vec<Field>),
}

/// Holds a field of a variant.
pub(crate) struct Field {
    /// Holds the name of the field. It is `None` in a tuple.
    pub(crate) ident: Option<Ident>,
    pub(crate) cfgs: Vec<Attribute>,
    /// Holds the attributes that the field takes over: its docs and serde's.
    pub(crate) moved: Vec<Conditional>,
    /// Holds the type as the user wrote it, but without `Self`.
    pub(crate) ty: TokenStream,
}

impl Variant {
    /// Returns the fields in the order of declaration.
    pub(crate) fn fields(&self) -> &[Field] {
        match &self.shape {
            Shape::Empty => &[],
            Shape::Named(fields) | Shape::Broken(fields) => fields,
            Shape::Newtype(field) | Shape::Itself(field) => std::slice::from_ref(field),
        }
    }

    /// Returns whether serde writes the body of the struct.
    pub(crate) fn has_serde(&self) -> bool {
        use super::attribute::Encoding;
        let is_serde =
            !matches!(&self.options.encoding, Some(Encoding::Text(_) | Encoding::Raw(_)));
        is_serde && matches!(self.shape, Shape::Named(_) | Shape::Newtype(_))
    }

    /// Returns whether the body is written through the shadow of the enum.
    pub(crate) fn is_shadowed(&self) -> bool {
        let is_plain = matches!(&self.shape, Shape::Newtype(field) if !field.has_serde());
        self.has_serde() && self.fits_a_shadow && !is_plain
    }

    /// Returns the message type as an expression.
    pub(crate) fn message_type(&self, private: &TokenStream) -> TokenStream {
        let Self { code, name, description, .. } = self;
        quote!(#private::MessageType::new(#code, #name, #description))
    }
}

impl Field {
    pub(crate) fn has_serde(&self) -> bool {
        self.moved.iter().any(|one| one.meta.path().is_ident("serde"))
    }

    /// Returns whether serde writes the field by the type's own traits.
    pub(crate) fn needs_serialize(&self) -> bool {
        !self.has_any(&["skip", "skip_serializing", "serialize_with", "with"])
    }

    /// Returns whether serde writes and reads the field by the type's own traits.
    pub(crate) fn is_plain(&self) -> bool {
        self.needs_serialize() && !self.has_any(&["skip_deserializing", "deserialize_with"])
    }

    /// Returns whether a serde attribute of the field contains one of these words.
    fn has_any(&self, words: &[&str]) -> bool {
        let metas = self.moved.iter().filter(|one| one.meta.path().is_ident("serde"));
        metas
            .flat_map(|one| super::conditional::list(&one.meta).unwrap_or_default())
            .any(|entry| words.iter().any(|word| entry.path().is_ident(word)))
    }
}

/// Returns the last segment of a type's path, if the type is a path.
pub(crate) fn last_segment(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) if path.qself.is_none() => {
            path.path.segments.last().map(|last| &last.ident)
        }
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// Returns the name of a type, if the type is a single name.
pub(crate) fn bare_name(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.get_ident(),
        Type::Group(group) => bare_name(&group.elem),
        Type::Paren(paren) => bare_name(&paren.elem),
        _ => None,
    }
}

/// Returns `Say` or `Say<T>`.
pub(crate) fn applied(ident: &Ident, generics: &Generics) -> TokenStream {
    let (_, arguments, _) = generics.split_for_impl();
    let mut this = ident.to_token_stream();
    arguments.to_tokens(&mut this);
    this
}
