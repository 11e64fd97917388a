//! The code of each variant, read from its discriminant or its attribute.
//!
//! A variant without a usable code gets a stand-in, the first free code. So the expansion is the
//! same with and without errors: the user sees the error, and no second error at each use of the
//! enum. The error texts propose the stand-in.

use std::collections::btree_map::{BTreeMap, Entry};

use proc_macro2::Literal;
use syn::{Expr, ExprLit, ExprUnary, Ident, ItemEnum, Lit, UnOp, Variant, parse_quote};

use crate::errors::Errors;

/// Is the first code that does not belong to the protocol. It equals `FIRST_APPLICATION_CODE` of
/// the core, on which this crate does not depend.
const FIRST_CODE: u16 = 200;

/// Describes why an expression is not a code.
pub(crate) enum Problem {
    Duplicate { code: u16, first: Ident },
    Missing,
    NotANumber,
    Reserved,
    TooHigh,
}

/// Holds the place at which the code of a variant is written.
pub(crate) struct Place<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) value: Option<&'a Expr>,
    /// Is true if a `#[cfg]` may remove the variant. Then two variants may have the same code, and
    /// only rustc knows whether both remain. It refuses two that remain (E0081).
    pub(crate) is_conditional: bool,
}

/// Describes the syntax of a code, for the texts that propose one.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// The code is a discriminant: `Chat = 200`.
    Discriminant,
    /// The code is in an attribute: `#[message(code = 200)]`.
    Attribute,
}

/// Returns the code of each variant of a unit-only enum. It reports unusable codes, and replaces
/// them in the item.
pub(crate) fn assign(item: &mut ItemEnum, errors: &mut Errors) -> Vec<u16> {
    let places = item.variants.iter().map(|variant| Place {
        ident: &variant.ident,
        value: variant.discriminant.as_ref().map(|(_, value)| value),
        is_conditional: variant.attrs.iter().any(|one| one.path().is_ident("cfg")),
    });
    let assigned = assign_all(&places.collect::<Vec<_>>(), Form::Discriminant, errors);
    for (variant, (code, problem)) in item.variants.iter_mut().zip(&assigned) {
        if let Some(problem) = problem {
            replace(variant, problem, *code);
        }
    }
    assigned.into_iter().map(|(code, _)| code).collect()
}

/// Returns the code for each place, and the problem with the written one, which it reports.
pub(crate) fn assign_all(
    places: &[Place<'_>],
    form: Form,
    errors: &mut Errors,
) -> Vec<(u16, Option<Problem>)> {
    let read = read_all(places);
    let taken: Vec<u16> = read.iter().flatten().copied().collect();
    let mut free = (FIRST_CODE..=u16::MAX).filter(|code| !taken.contains(code));
    let assigned = places.iter().zip(read).map(|(place, code)| match code {
        Ok(code) => (code, None),
        Err(problem) => {
            let stand_in = free.next().unwrap_or(u16::MAX);
            report(place, form, &problem, stand_in, errors);
            (stand_in, Some(problem))
        }
    });
    assigned.collect()
}

fn read_all(places: &[Place<'_>]) -> Vec<Result<u16, Problem>> {
    let mut owners = BTreeMap::new();
    let mut codes = Vec::new();
    for place in places {
        let code = place.value.ok_or(Problem::Missing).and_then(read);
        codes.push(match code {
            Ok(code) if !place.is_conditional => match owners.entry(code) {
                Entry::Vacant(entry) => {
                    entry.insert(place.ident);
                    Ok(code)
                }
                Entry::Occupied(entry) => {
                    Err(Problem::Duplicate { code, first: Ident::clone(entry.get()) })
                }
            },
            other => other,
        });
    }
    codes
}

fn read(value: &Expr) -> Result<u16, Problem> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => match number.base10_parse() {
            Ok(code) if code < FIRST_CODE => Err(Problem::Reserved),
            Ok(code) => Ok(code),
            Err(_) => Err(Problem::TooHigh),
        },
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => Err(Problem::Reserved),
        // A `macro_rules!` puts a group around a number that is its argument.
        Expr::Group(group) => read(&group.expr),
        Expr::Paren(paren) => read(&paren.expr),
        _ => Err(Problem::NotANumber),
    }
}

fn report(place: &Place<'_>, form: Form, problem: &Problem, stand_in: u16, errors: &mut Errors) {
    let ident = place.ident;
    let example = match form {
        Form::Discriminant => format!("`{ident} = {stand_in}`"),
        Form::Attribute => format!("`code = {stand_in}`"),
    };
    let message = match problem {
        Problem::Duplicate { code, first } => {
            format!("{code} is the code of `{first}` already: use another, such as {example}")
        }
        Problem::Missing => {
            let example = match form {
                Form::Discriminant => example,
                Form::Attribute => format!("`#[message(code = {stand_in})]`"),
            };
            format!(
                "give `{ident}` a code of its own: {example}; numbering by order would move codes \
                 on the wire"
            )
        }
        Problem::NotANumber => format!(
            "write the code as a number, such as {example}: the macro sees this text, but not its \
             value"
        ),
        Problem::Reserved => {
            format!("codes below 200 belong to the protocol: use a higher one, such as {example}")
        }
        Problem::TooHigh => {
            format!("codes end at 65535, the highest u16: use a lower one, such as {example}")
        }
    };
    match place.value {
        Some(value) => errors.at(value, message),
        None => errors.at(ident, message),
    }
}

fn replace(variant: &mut Variant, problem: &Problem, stand_in: u16) {
    let code = Literal::u16_unsuffixed(stand_in);
    let discriminant: Expr = match (&variant.discriminant, problem) {
        // The names in the expression stay used, and the editor still knows them.
        (Some((_, value)), Problem::NotANumber) => parse_quote!({ let _ = #value; #code }),
        _ => parse_quote!(#code),
    };
    variant.discriminant = Some((Default::default(), discriminant));
}
