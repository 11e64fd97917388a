//! [`Names`]: the paths that the generated code uses.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{ItemEnum, LitStr, Path};

use crate::naming;

/// Holds the paths in the generated code.
pub(crate) struct Names {
    /// Holds the path of the facade's `__private`.
    pub(crate) private: TokenStream,
    /// Holds serde's path as text, in the form that its derives expect.
    serde: LitStr,
    /// Holds the import that makes this path valid.
    pub(super) alias: Option<TokenStream>,
}

impl Names {
    pub(super) fn new(item: &ItemEnum, facade: &Path) -> Self {
        let private = quote!(#facade::__private);
        let text = quote!(#private::serde).to_string().replace(' ', "");
        // A text cannot contain the `$crate` of a `macro_rules!`.
        let (serde, alias) = if text.starts_with('$') {
            let name = naming::snake_case(&item.ident);
            let name = format_ident!("__veltix_serde_of_{name}");
            let import =
                quote!(#[doc(hidden)] #[allow(unused_imports)] use #private::serde as #name;);
            (name.to_string(), Some(import))
        } else {
            (text, None)
        };
        let serde = LitStr::new(&serde, proc_macro2::Span::call_site());
        Self { private, serde, alias }
    }

    /// Returns serde's path in the form of its text.
    pub(crate) fn serde_path(&self) -> TokenStream {
        // The text was written by `new`, and is a path.
        self.serde
            .parse::<Path>()
            .map_or_else(|error| error.to_compile_error(), |path| quote!(#path))
    }

    /// Returns `#[serde(crate = …)]` with further entries.
    pub(crate) fn serde(&self, entries: impl ToTokens) -> TokenStream {
        let serde = &self.serde;
        quote!(#[serde(crate = #serde, #entries)])
    }
}
