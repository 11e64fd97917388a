//! The code of each variant, read from its discriminant.
//!
//! A variant without a usable code gets a stand-in, the first free one. So the expansion is the
//! same with errors as without: the user sees what is wrong, and not a second error at every
//! place that uses the enum. The stand-in is also what the texts propose.

use std::collections::btree_map::{BTreeMap, Entry};

use proc_macro2::Literal;
use syn::{Expr, ExprLit, ExprUnary, Fields, Ident, ItemEnum, Lit, UnOp, Variant, parse_quote};

use crate::errors::Errors;

/// The first code that is not the protocol's own. It is `FIRST_APPLICATION_CODE` of the core, on
/// which this crate does not depend.
const FIRST_CODE: u16 = 200;

/// Why a discriminant is not a code.
enum Problem {
    Duplicate { code: u16, first: Ident },
    Missing,
    NotANumber,
    Reserved,
    TooHigh,
}

/// The code of each variant. What is not a code is reported, and replaced in the item.
pub(crate) fn settle(item: &mut ItemEnum, errors: &mut Errors) -> Vec<u16> {
    let read: Vec<Result<u16, Problem>> = read_all(item);
    let taken: Vec<u16> = read.iter().flatten().copied().collect();
    let mut free = (FIRST_CODE..=u16::MAX).filter(|code| !taken.contains(code));
    let mut codes = Vec::new();
    for (variant, code) in item.variants.iter_mut().zip(read) {
        codes.push(code.unwrap_or_else(|problem| {
            let stand_in = free.next().unwrap_or(u16::MAX);
            report(variant, &problem, stand_in, errors);
            replace(variant, &problem, stand_in);
            stand_in
        }));
    }
    codes
}

fn read_all(item: &ItemEnum) -> Vec<Result<u16, Problem>> {
    let mut owners = BTreeMap::new();
    let mut codes = Vec::new();
    for variant in &item.variants {
        let discriminant = variant.discriminant.as_ref().map(|(_, value)| value);
        let code = discriminant.ok_or(Problem::Missing).and_then(read);
        // A `#[cfg]` may leave only one of two variants with the same code. Whether it does is
        // rustc's to say, which refuses those that remain (E0081).
        let is_conditional = variant.attrs.iter().any(|one| one.path().is_ident("cfg"));
        codes.push(match code {
            Ok(code) if !is_conditional => match owners.entry(code) {
                Entry::Vacant(entry) => {
                    entry.insert(&variant.ident);
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

fn read(discriminant: &Expr) -> Result<u16, Problem> {
    match discriminant {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => match number.base10_parse() {
            Ok(code) if code < FIRST_CODE => Err(Problem::Reserved),
            Ok(code) => Ok(code),
            Err(_) => Err(Problem::TooHigh),
        },
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => Err(Problem::Reserved),
        // A group is what a `macro_rules!` puts around a number that it was given.
        Expr::Group(group) => read(&group.expr),
        Expr::Paren(paren) => read(&paren.expr),
        _ => Err(Problem::NotANumber),
    }
}

fn report(variant: &Variant, problem: &Problem, stand_in: u16, errors: &mut Errors) {
    let ident = &variant.ident;
    let example = format!("`{ident} = {stand_in}`");
    let message = match problem {
        Problem::Duplicate { code, first } => {
            format!("{code} is the code of `{first}` already: take another, such as {example}")
        }
        // The fields of such a variant have been reported, and its code would not yet help.
        Problem::Missing if !matches!(variant.fields, Fields::Unit) => return,
        Problem::Missing => format!(
            "give `{ident}` a code of its own: {example}; numbering by order would move codes on \
             the wire"
        ),
        Problem::NotANumber => format!(
            "write the code as a number, such as {example}: the macro reads this text and cannot \
             know its value"
        ),
        Problem::Reserved => {
            format!("codes below 200 belong to the protocol: take a higher one, such as {example}")
        }
        Problem::TooHigh => {
            format!("codes end at 65535, the highest u16: take a lower one, such as {example}")
        }
    };
    match &variant.discriminant {
        Some((_, value)) => errors.at(value, message),
        None => errors.at(ident, message),
    }
}

fn replace(variant: &mut Variant, problem: &Problem, stand_in: u16) {
    let code = Literal::u16_unsuffixed(stand_in);
    let discriminant: Expr = match (&variant.discriminant, problem) {
        // The names in an expression stay used, and known to the editor.
        (Some((_, value)), Problem::NotANumber) => parse_quote!({ let _ = #value; #code }),
        _ => parse_quote!(#code),
    };
    variant.discriminant = Some((Default::default(), discriminant));
}
