//! Paths in token streams: in the arguments of macros, their definitions, and attributes.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::ItemUse;

/// A piece of a token stream that names something.
pub(crate) enum Named {
    Path(Vec<String>),
    Use(ItemUse),
}

/// Returns everything in `tokens` that looks like a path or a `use` item, groups included.
pub(crate) fn named_in(tokens: TokenStream) -> Vec<Named> {
    let mut named = Vec::new();
    scan(&tokens.into_iter().collect::<Vec<_>>(), &mut named);
    named
}

fn scan(tokens: &[TokenTree], named: &mut Vec<Named>) {
    let mut at = 0;
    while at < tokens.len() {
        if let Some((item, len)) = use_at(&tokens[at..]) {
            named.push(Named::Use(item));
            at += len;
            continue;
        }
        match &tokens[at] {
            TokenTree::Group(group) => {
                scan(&group.stream().into_iter().collect::<Vec<_>>(), named);
                at += 1;
            }
            TokenTree::Ident(_) => {
                let (path, len) = path_at(tokens, at);
                if starts_path(tokens, at, &path) {
                    named.push(Named::Path(path));
                }
                at += len;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
        }
    }
}

/// Returns the path whose first name is at `at`, and the number of its tokens.
fn path_at(tokens: &[TokenTree], at: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut next = at;
    while let Some(TokenTree::Ident(name)) = tokens.get(next) {
        path.push(name.to_string());
        next += 1;
        if !is_colons(tokens, next) || !matches!(tokens.get(next + 2), Some(TokenTree::Ident(_))) {
            break;
        }
        next += 2;
    }
    (path, next - at)
}

/// Returns whether the name at `at` begins a path: it is no field, no method, no lifetime, no
/// macro variable, and no rest of a path such as that in `<T>::name`.
fn starts_path(tokens: &[TokenTree], at: usize, path: &[String]) -> bool {
    if at >= 2 && is_colons(tokens, at - 2) {
        return false;
    }
    match at.checked_sub(1).map(|before| &tokens[before]) {
        Some(TokenTree::Punct(mark)) => match mark.as_char() {
            '$' => path[0] == "crate",
            '\'' => false,
            // Two dots are a range, one is an access.
            '.' => at >= 2 && is_punct(&tokens[at - 2], '.'),
            _ => true,
        },
        _ => true,
    }
}

/// Returns the `use` item at the beginning of `tokens`, and the number of its tokens.
fn use_at(tokens: &[TokenTree]) -> Option<(ItemUse, usize)> {
    match tokens.first() {
        Some(TokenTree::Ident(name)) if name == "use" => {}
        _ => return None,
    }
    let end = tokens.iter().position(|token| is_punct(token, ';'))?;
    let item = tokens[..=end].iter().filter(|token| !is_punct(token, '$')).cloned();
    Some((syn::parse2(item.collect()).ok()?, end + 1))
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    match (tokens.get(at), tokens.get(at + 1)) {
        (Some(TokenTree::Punct(first)), Some(second)) => {
            first.as_char() == ':' && first.spacing() == Spacing::Joint && is_punct(second, ':')
        }
        _ => false,
    }
}

fn is_punct(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        named_in(code.parse().unwrap())
            .into_iter()
            .map(|named| match named {
                Named::Path(path) => path.join("::"),
                Named::Use(_) => "use".to_owned(),
            })
            .filter(|path| path.contains("::") || path == "use")
            .collect()
    }

    #[test]
    fn paths_are_found_in_groups_and_generic_arguments() {
        assert_eq!(
            paths(
                "biased; x = crate::a::b(Vec::<super::c::D>::new()) => { peer.e::<self::f::G>() }"
            ),
            ["crate::a::b", "super::c::D", "self::f::G"]
        );
    }

    #[test]
    fn definitions_of_macros_name_their_crate() {
        assert_eq!(
            paths(
                "($name:ident, $ty:ty) => { $crate::a::make($name::B, <$ty>::c()); use crate::x::Y; }"
            ),
            ["crate::a::make", "use"]
        );
    }

    #[test]
    fn paths_from_outside_and_ranges() {
        assert_eq!(paths("::std::mem::take(0..limits::MOST, a.b)"), ["limits::MOST"]);
    }
}
