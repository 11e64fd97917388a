//! Attributes that may be inside a `#[cfg_attr]`. On the variants of an enum, `#[cfg_attr]` is not
//! resolved before an attribute macro sees it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

/// Holds one attribute and the conditions under which it applies.
#[derive(Clone)]
pub(crate) struct Conditional {
    pub(crate) conditions: Vec<TokenStream>,
    pub(crate) meta: Meta,
}

/// Returns the attribute, or the attributes inside it if it is a `#[cfg_attr]`.
pub(crate) fn flatten(attribute: &Attribute) -> Vec<Conditional> {
    let mut found = Vec::new();
    unfold(attribute.meta.clone(), &[], &mut found);
    found
}

fn unfold(meta: Meta, conditions: &[TokenStream], found: &mut Vec<Conditional>) {
    if meta.path().is_ident("cfg_attr") {
        if let Some(mut inner) = list(&meta).map(Vec::into_iter)
            && let Some(condition) = inner.next()
        {
            let conditions = [conditions, &[condition.to_token_stream()]].concat();
            inner.for_each(|meta| unfold(meta, &conditions, found));
        }
    } else {
        found.push(Conditional { conditions: conditions.to_vec(), meta });
    }
}

/// Returns the entries in the parentheses of an attribute.
pub(crate) fn list(meta: &Meta) -> Option<Vec<Meta>> {
    let list = meta.require_list().ok()?;
    let metas = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
    Some(metas.into_iter().collect())
}

impl Conditional {
    /// Creates another attribute under the same conditions.
    pub(crate) fn with(&self, meta: Meta) -> Self {
        Self { conditions: self.conditions.clone(), meta }
    }
}

impl ToTokens for Conditional {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { conditions, meta } = self;
        tokens.extend(match conditions.as_slice() {
            [] => quote!(#[#meta]),
            conditions => quote!(#[cfg_attr(all(#(#conditions),*), #meta)]),
        });
    }
}
