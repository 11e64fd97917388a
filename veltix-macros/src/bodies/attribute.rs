//! Reads `#[message(…)]` on a variant, key by key.

use proc_macro2::TokenTree;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Expr, Ident, LitStr, Meta, Path, Token, Type, parenthesized};

use crate::errors::Errors;
use crate::naming;

const KEYS: [&str; 12] = [
    "code",
    "text",
    "raw",
    "postcard",
    "name",
    "reply",
    "error",
    "from_errors",
    "max",
    "on_full",
    "latest",
    "derive",
];

const POLICIES: [(&str, &str); 3] =
    [("disconnect", "Disconnect"), ("drop_newest", "DropNewest"), ("drop_oldest", "DropOldest")];

/// Holds the content of one variant's attributes.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) code: Option<Expr>,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) name: Option<LitStr>,
    pub(crate) reply: Option<Type>,
    pub(crate) error: Option<Type>,
    /// Holds the word `from_errors`, if it is given.
    pub(crate) from_errors: Option<Ident>,
    pub(crate) max: Option<Expr>,
    pub(crate) class: Option<Class>,
    pub(crate) derives: Vec<Path>,
}

/// Describes the encoding of a body other than JSON. Each variant holds the word that selects it.
#[derive(Clone)]
pub(crate) enum Encoding {
    Text(Ident),
    Raw(Ident),
    Postcard(Ident),
}

impl Encoding {
    pub(crate) const fn word(&self) -> &Ident {
        match self {
            Self::Text(word) | Self::Raw(word) | Self::Postcard(word) => word,
        }
    }
}

/// Describes the treatment of the message if an outbox has no room.
pub(crate) enum Class {
    /// Names a variant of `OverflowPolicy`.
    Policy(Ident),
    /// Marks a message of which only the newest is worth sending. If a field is named, this applies
    /// to each value of that field.
    Latest(Ident, Option<LitStr>),
}

/// Removes the macro's own attributes from a variant and reads them.
pub(crate) fn take(attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Options {
    let mut options = Options::default();
    let mut seen = Vec::new();
    for attribute in attributes.extract_if(.., |one| one.path().is_ident("message")) {
        match &attribute.meta {
            // The missing code is reported with all others.
            Meta::Path(_) => {}
            Meta::List(list) => {
                let entries = |input: ParseStream<'_>| {
                    options.read(input, &mut seen, errors);
                    Ok(())
                };
                if let Err(error) = entries.parse2(list.tokens.clone()) {
                    errors.push(error);
                }
            }
            Meta::NameValue(pair) => {
                errors.at(pair, "write the code in parentheses: `#[message(code = 200)]`");
            }
        }
    }
    for attribute in attributes.extract_if(.., |one| hides_message(one)) {
        errors.at(
            attribute,
            "the settings of a message cannot depend on a `cfg`: put a `#[cfg(…)]` on the \
             variant, and `#[message(…)]` beside it",
        );
    }
    options
}

/// Returns whether the attribute is a `#[cfg_attr(…, message(…))]`, which would expand to an
/// unknown attribute.
fn hides_message(attribute: &Attribute) -> bool {
    super::conditional::flatten(attribute).iter().any(|one| one.meta.path().is_ident("message"))
}

impl Options {
    fn read(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>, errors: &mut Errors) {
        while !input.is_empty() {
            if let Err(error) = self.entry(input, seen, errors) {
                errors.push(error);
            } else if input.is_empty() || input.peek(Token![,]) {
                let _ = input.parse::<Token![,]>();
                continue;
            } else {
                errors.push(input.error("expected `,`"));
            }
            // Skips unreadable tokens, so that the following entries are read too.
            while !input.is_empty() && input.parse::<Token![,]>().is_err() {
                let _ = input.parse::<TokenTree>();
            }
        }
    }

    fn entry(
        &mut self,
        input: ParseStream<'_>,
        seen: &mut Vec<String>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        let Ok(key) = input.call(Ident::parse_any) else {
            return Err(input.error(format_args!("expected one of {}", list(&KEYS))));
        };
        let word = key.to_string();
        if !KEYS.contains(&word.as_str()) {
            return Err(syn::Error::new(key.span(), unknown("key", &word, &KEYS)));
        }
        if seen.contains(&word) {
            errors.at(&key, format_args!("`{word}` is given more than once: keep one"));
        }
        seen.push(word);
        self.value(&key, input, errors)
    }

    fn value(
        &mut self,
        key: &Ident,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        match key.to_string().as_str() {
            "code" => self.code = Some(after_sign(key, input, "code = 200")?),
            "text" => self.encode(Encoding::Text(key.clone()), input, errors)?,
            "raw" => self.encode(Encoding::Raw(key.clone()), input, errors)?,
            "postcard" => self.encode(Encoding::Postcard(key.clone()), input, errors)?,
            "name" => {
                let name: LitStr = after_sign(key, input, "name = \"say\"")?;
                if name.value().is_empty() {
                    return Err(syn::Error::new(name.span(), "a name must not be empty"));
                }
                self.name = Some(name);
            }
            "reply" => self.reply = Some(message_type(key, input)?),
            "error" => self.error = Some(message_type(key, input)?),
            "from_errors" => {
                alone(key, input)?;
                self.from_errors = Some(key.clone());
            }
            "max" => self.max = Some(after_sign(key, input, "max = 4096")?),
            "on_full" => {
                let policy: LitStr = after_sign(key, input, "on_full = \"drop_oldest\"")?;
                let known = POLICIES.iter().find(|(word, _)| *word == policy.value());
                let Some((_, variant)) = known else {
                    let words = POLICIES.map(|(word, _)| word);
                    let text = unknown("policy", &policy.value(), &words);
                    return Err(syn::Error::new(policy.span(), text));
                };
                self.classify(key, Class::Policy(Ident::new(variant, policy.span())), errors);
            }
            "latest" => {
                let has_field = input.peek(Token![=]);
                let field = has_field.then(|| after_sign(key, input, "latest = \"id\""));
                self.classify(key, Class::Latest(key.clone(), field.transpose()?), errors);
            }
            // The remaining key of `KEYS` is `derive`.
            _ => {
                let paths;
                if !input.peek(syn::token::Paren) {
                    return Err(needs(key, "derive(PartialEq)"));
                }
                parenthesized!(paths in input);
                let paths = paths.parse_terminated(Path::parse_mod_style, Token![,])?;
                self.derives.extend(paths);
            }
        }
        Ok(())
    }

    fn encode(
        &mut self,
        encoding: Encoding,
        input: ParseStream<'_>,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        alone(encoding.word(), input)?;
        match &self.encoding {
            Some(first) if first.word() != encoding.word() => errors.at(
                encoding.word(),
                format_args!(
                    "the body is `{}` already, and has only one encoding: keep one of them",
                    first.word(),
                ),
            ),
            _ => self.encoding = Some(encoding),
        }
        Ok(())
    }

    fn classify(&mut self, key: &Ident, class: Class, errors: &mut Errors) {
        let is_other = matches!(
            (&self.class, &class),
            (Some(Class::Policy(_)), Class::Latest(..))
                | (Some(Class::Latest(..)), Class::Policy(_))
        );
        if is_other {
            errors.at(key, "`latest` and `on_full` both apply to a full outbox: keep one of them");
        }
        self.class = Some(class);
    }
}

/// Checks that a key has no value.
fn alone(key: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) {
        let text = format!("`{key}` takes no value: write the word alone");
        return Err(syn::Error::new(key.span(), text));
    }
    Ok(())
}

fn after_sign<T: syn::parse::Parse>(
    key: &Ident,
    input: ParseStream<'_>,
    example: &str,
) -> syn::Result<T> {
    if input.parse::<Token![=]>().is_err() || input.is_empty() {
        return Err(needs(key, example));
    }
    let ahead = input.fork();
    input.parse().map_err(|_| {
        syn::Error::new(ahead.span(), format_args!("expected a value as in `{example}`"))
    })
}

fn message_type(key: &Ident, input: ParseStream<'_>) -> syn::Result<Type> {
    let example = format!("{key} = Roster");
    if input.peek(Token![=]) && input.peek2(LitStr) {
        let quoted: LitStr = after_sign(key, input, &example)?;
        let text = format!("write the type without quotes: `{key} = {}`", quoted.value());
        return Err(syn::Error::new(quoted.span(), text));
    }
    after_sign(key, input, &example)
}

fn needs(key: &Ident, example: &str) -> syn::Error {
    syn::Error::new(key.span(), format_args!("`{key}` needs a value: `{example}`"))
}

/// Returns the error text for a word that is not one of the known ones.
fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let is_slip = |one: &&&str| naming::distance(one, word) <= (one.len() / 3).max(2);
    let nearest = known.iter().min_by_key(|one| naming::distance(one, word));
    match nearest.filter(is_slip) {
        Some(nearest) => format!("unknown {what} `{word}`: did you mean `{nearest}`?"),
        None => format!("unknown {what} `{word}`: expected one of {}", list(known)),
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
