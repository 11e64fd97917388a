//! The texts of a message type: its name from the identifier, and its description from the docs.

use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta};

/// Returns the identifier in snake case. A sequence of capitals counts as one word (`HTTPGet` is
/// `http_get`).
pub(crate) fn snake_case(ident: &Ident) -> String {
    let characters: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut name = String::new();
    for (index, &character) in characters.iter().enumerate() {
        if character.is_uppercase() && index > 0 {
            let previous = characters[index - 1];
            let ends_a_run = characters.get(index + 1).is_some_and(|next| next.is_lowercase());
            if previous != '_' && (!previous.is_uppercase() || ends_a_run) {
                name.push('_');
            }
        }
        name.extend(character.to_lowercase());
    }
    name
}

/// Returns the first paragraph of the doc comment on one line, or an empty text without a doc
/// comment.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let docs: Vec<String> = attributes.iter().filter_map(doc).collect();
    docs.iter()
        .flat_map(|doc| doc.split('\n').map(str::trim))
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the text of one `#[doc = "…"]`, which is the form of a doc comment's line in a macro.
fn doc(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the number of letters that must be changed, added or removed to turn one word into the
/// other. A distance below 3 is a typing error.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, &theirs) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != theirs);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn names_are_the_words_of_the_identifier() {
        for (ident, name) in [
            ("Chat", "chat"),
            ("FileTransfer", "file_transfer"),
            ("HTTPGet", "http_get"),
            ("GetURL", "get_url"),
            ("Chat2", "chat2"),
            ("Chat2All", "chat2_all"),
            ("A", "a"),
            ("ABTest", "ab_test"),
            ("Say_Hi", "say_hi"),
            ("SAY_HI", "say_hi"),
            ("Übersicht", "übersicht"),
        ] {
            let ident = Ident::new(ident, proc_macro2::Span::call_site());
            assert_eq!(snake_case(&ident), name);
        }
        assert_eq!(snake_case(&parse_quote!(r#Type)), "type");
    }

    #[test]
    fn distances_are_slips() {
        for (one, other, expected) in
            [("code", "code", 0), ("code", "cod", 1), ("code", "cdoe", 2), ("", "raw", 3)]
        {
            assert_eq!(distance(one, other), expected);
            assert_eq!(distance(other, one), expected);
        }
    }

    #[test]
    fn the_description_is_the_first_paragraph() {
        let variant: syn::Variant = parse_quote! {
            /// A line of chat,
            /// to everybody in the room.
            ///
            /// Longer words about it.
            #[doc(hidden)]
            #[serde(rename = "c")]
            Chat
        };
        assert_eq!(description(&variant.attrs), "A line of chat, to everybody in the room.");
        assert_eq!(description(&[]), "");
    }
}
