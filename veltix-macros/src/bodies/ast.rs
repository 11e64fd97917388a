//! What the macro knows of an enum whose variants have bodies.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Generics, Ident, Type};

use super::attribute::Options;
use super::conditional::Conditional;

/// The enum.
pub(crate) struct Messages {
    /// Its name with its generic arguments.
    pub(crate) this: TokenStream,
    pub(crate) variants: Vec<Variant>,
}

/// One message. Its code and name are always usable, whatever was wrong with them.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    /// The `#[cfg]`s of the variant, which whatever names it must carry.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) code: u16,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) options: Options,
    pub(crate) shape: Shape,
    /// The generics of the enum that the variant uses.
    pub(crate) generics: Generics,
    /// The type that stands for this message alone, and where to blame it.
    pub(crate) message: TokenStream,
    /// What goes along with the struct.
    pub(crate) moved: Vec<Conditional>,
    /// What goes along with the variant of the shadow.
    pub(crate) shadowed: Vec<Conditional>,
    /// Whether the shadow can serialize it as the struct is.
    pub(crate) fits_a_shadow: bool,
}

/// What a variant holds.
pub(crate) enum Shape {
    /// Nothing: `Typing`.
    Empty,
    /// Named fields: `Say { text: String }`.
    Named(Vec<Field>),
    /// One field of another type: `Motd(String)`.
    Newtype(Field),
    /// The message itself: `Roster(Roster)`.
    Itself(Field),
    /// What no message can hold, which has been reported.
    Broken(Vec<Field>),
}

/// A field of a variant.
pub(crate) struct Field {
    /// None in a tuple.
    pub(crate) ident: Option<Ident>,
    pub(crate) cfgs: Vec<Attribute>,
    /// What goes along with the field, docs and serde's.
    pub(crate) moved: Vec<Conditional>,
    /// As the user wrote it, less any `Self`.
    pub(crate) ty: TokenStream,
}

impl Variant {
    /// The fields, in the order of declaration.
    pub(crate) fn fields(&self) -> &[Field] {
        match &self.shape {
            Shape::Empty => &[],
            Shape::Named(fields) | Shape::Broken(fields) => fields,
            Shape::Newtype(field) | Shape::Itself(field) => std::slice::from_ref(field),
        }
    }

    /// Whether serde writes the body of its struct.
    pub(crate) fn has_serde(&self) -> bool {
        use super::attribute::Encoding;
        let is_serde =
            !matches!(&self.options.encoding, Some(Encoding::Text(_) | Encoding::Raw(_)));
        is_serde && matches!(self.shape, Shape::Named(_) | Shape::Newtype(_))
    }

    /// Whether its body is written through the shadow of the enum.
    pub(crate) fn is_shadowed(&self) -> bool {
        let is_plain = matches!(&self.shape, Shape::Newtype(field) if !field.has_serde());
        self.has_serde() && self.fits_a_shadow && !is_plain
    }

    /// The message type as an expression.
    pub(crate) fn message_type(&self, private: &TokenStream) -> TokenStream {
        let Self { code, name, description, .. } = self;
        quote!(#private::MessageType::new(#code, #name, #description))
    }
}

impl Field {
    pub(crate) fn has_serde(&self) -> bool {
        self.moved.iter().any(|one| one.meta.path().is_ident("serde"))
    }

    /// Whether serde writes the field by the type's own traits.
    pub(crate) fn needs_serialize(&self) -> bool {
        !self.has_any(&["skip", "skip_serializing", "serialize_with", "with"])
    }

    /// Whether serde writes and reads the field by the type's own traits.
    pub(crate) fn is_plain(&self) -> bool {
        self.needs_serialize() && !self.has_any(&["skip_deserializing", "deserialize_with"])
    }

    /// Whether serde is told one of these words about the field.
    fn has_any(&self, words: &[&str]) -> bool {
        let metas = self.moved.iter().filter(|one| one.meta.path().is_ident("serde"));
        metas
            .flat_map(|one| super::conditional::list(&one.meta).unwrap_or_default())
            .any(|entry| words.iter().any(|word| entry.path().is_ident(word)))
    }
}

/// The last segment of a type's path, if it is one.
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

/// The name of a type, where it is a name and nothing else.
pub(crate) fn bare_name(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.get_ident(),
        Type::Group(group) => bare_name(&group.elem),
        Type::Paren(paren) => bare_name(&paren.elem),
        _ => None,
    }
}

/// `Say` or `Say<T>`.
pub(crate) fn applied(ident: &Ident, generics: &Generics) -> TokenStream {
    let (_, arguments, _) = generics.split_for_impl();
    let mut this = ident.to_token_stream();
    arguments.to_tokens(&mut this);
    this
}
