//! Checks whether the user's enum can be message types, and reports each obstacle.

use syn::{Attribute, ItemEnum};

use crate::ast::Variant;
use crate::errors::Errors;
use crate::{codes, naming};

/// Lists the names that an expansion adds to the enum. A variant of the same name would hide them.
const TAKEN_NAMES: [&str; 4] = ["ALL", "code", "message_type", "registry"];

/// Returns the message types of the enum, or `None` if its form allows none. The item is left in a
/// form to which rustc adds no further error.
pub(crate) fn check(item: &mut ItemEnum, errors: &mut Errors) -> Option<Vec<Variant>> {
    if item.variants.is_empty() {
        errors.at(
            &item.ident,
            format_args!(
                "`{}` has no variant: give it one for each kind of message, such as `Chat = 200`",
                item.ident,
            ),
        );
    }
    let has_shape = check_shape(item, errors);
    let codes = codes::assign(item, errors);
    if !has_shape {
        return None;
    }
    let variants = item.variants.iter().zip(codes).map(|(variant, code)| Variant {
        ident: variant.ident.clone(),
        cfgs: variant.attrs.iter().filter(|one| one.path().is_ident("cfg")).cloned().collect(),
        code,
        name: naming::snake_case(&variant.ident),
        description: naming::description(&variant.attrs),
    });
    Some(variants.collect())
}

/// Reports and removes attributes that belong to this macro. Otherwise, rustc would report them
/// again, as unknown.
pub(crate) fn take_own_attributes(item: &mut ItemEnum, errors: &mut Errors) {
    let is_own = |attribute: &Attribute| attribute.path().is_ident("message");
    for attribute in item.attrs.extract_if(.., |one| is_own(one) || is_second(one)) {
        errors.at(attribute.path(), "`#[veltix::message]` is given twice: remove this one");
    }
}

fn is_second(attribute: &Attribute) -> bool {
    let segments = &attribute.path().segments;
    segments.len() == 2 && segments[0].ident == "veltix" && segments[1].ident == "message"
}

/// Checks whether the enum can have the generated code.
fn check_shape(item: &ItemEnum, errors: &mut Errors) -> bool {
    let generics = &item.generics;
    let mut has_shape = generics.params.is_empty() && generics.where_clause.is_none();
    if !generics.params.is_empty() {
        errors.at(generics, "message types cannot be generic: remove the parameters");
    } else if let Some(clause) = &generics.where_clause {
        errors.at(clause, "message types cannot be generic: remove the `where` clause");
    }
    for variant in &item.variants {
        if TAKEN_NAMES.iter().any(|name| variant.ident == name) {
            has_shape = false;
            errors.at(
                &variant.ident,
                format_args!(
                    "`{0}::{1}` is added to the enum by `#[veltix::message]`: give the variant \
                     another name",
                    item.ident, variant.ident,
                ),
            );
        }
    }
    has_shape
}
