//! Checks whether the variants can be messages with bodies, and reports each obstacle.

use quote::{ToTokens, format_ident};
use syn::ext::IdentExt;
use syn::{Fields, GenericParam, Ident, ItemEnum, LitStr, Variant as Item};

use super::ast::{self, Field, Messages, Shape, Variant};
use super::attribute::{self, Class, Encoding, Options};
use super::generics;
use super::serde_attributes::{self, OwnSerde};
use crate::codes::{self, Form, Place};
use crate::errors::Errors;
use crate::naming;

/// Lists the names that an expansion adds to the enum. A variant of the same name would hide them.
const TAKEN_NAMES: [&str; 4] = ["TYPES", "code", "message_type", "registry"];

/// Returns the messages of the enum, or `None` if it cannot have any. The item is left in a form
/// that rustc accepts.
pub(crate) fn check(item: &mut ItemEnum, errors: &mut Errors) -> Option<Messages> {
    let own = OwnSerde::of(&item.attrs);
    let original = item.clone();
    let options: Vec<Options> =
        item.variants.iter_mut().map(|one| attribute::take(&mut one.attrs, errors)).collect();
    let codes = check_codes(item, &options, errors);
    let is_possible = [check_enum(item, &own, errors), check_names(item, errors)] == [true; 2];

    let this = ast::applied(&item.ident, &item.generics);
    let mut variants = Vec::new();
    for ((variant, options), code) in item.variants.iter().zip(options).zip(codes) {
        let context = Context { item: &original, own: &own, this: &this };
        variants.push(context.variant(variant, options, code, errors));
    }
    serde_attributes::keep_needed(&mut item.attrs, &own, false);
    for variant in &mut item.variants {
        serde_attributes::keep_needed(&mut variant.attrs, &own, true);
        for field in &mut variant.fields {
            serde_attributes::keep_needed(&mut field.attrs, &own, false);
        }
    }
    is_possible.then_some(Messages { this, variants })
}

fn check_codes(item: &mut ItemEnum, options: &[Options], errors: &mut Errors) -> Vec<u16> {
    // A discriminant counts as a code, so that its variant gets one error and not two.
    let places = item.variants.iter().zip(options).map(|(variant, options)| Place {
        ident: &variant.ident,
        value: options.code.as_ref().or_else(|| discriminant(variant)),
        is_conditional: is_conditional(variant),
    });
    let assigned = codes::assign_all(&places.collect::<Vec<_>>(), Form::Attribute, errors);
    for (variant, options) in item.variants.iter_mut().zip(options) {
        let Some((_, value)) = variant.discriminant.take() else { continue };
        if options.code.is_some() {
            errors.at(value, "the code is already in the attribute: remove this one");
        } else {
            errors.at(
                &value,
                format_args!(
                    "an enum with bodies takes its codes from attributes: write \
                     `#[message(code = {})]` above `{}`",
                    value.to_token_stream(),
                    variant.ident,
                ),
            );
        }
    }
    assigned.into_iter().map(|(code, _)| code).collect()
}

fn discriminant(variant: &Item) -> Option<&syn::Expr> {
    variant.discriminant.as_ref().map(|(_, value)| value)
}

fn is_conditional(variant: &Item) -> bool {
    variant.attrs.iter().any(|one| one.path().is_ident("cfg"))
}

/// Checks the enum as a whole.
fn check_enum(item: &ItemEnum, own: &OwnSerde, errors: &mut Errors) -> bool {
    let mut is_possible = true;
    for parameter in &item.generics.params {
        if let GenericParam::Lifetime(lifetime) = parameter {
            is_possible = false;
            errors.at(
                lifetime,
                "a message owns its body, which outlives the buffer that it was read from: use \
                 `String`, `Bytes` or `Cow<'static, str>` instead of a reference",
            );
        }
    }
    if !own.is_possible() {
        for entry in serde_attributes::entries(&item.attrs) {
            if !entry.meta.path().is_ident("rename_all_fields") {
                errors.at(
                    &entry.meta,
                    "of serde's attributes, an enum of messages accepts only `rename_all_fields`: \
                     put the attributes of one body on its variant",
                );
            }
        }
    }
    is_possible
}

/// Checks whether each variant can have a struct of its name.
fn check_names(item: &ItemEnum, errors: &mut Errors) -> bool {
    let mut are_possible = true;
    for Item { ident, fields, .. } in &item.variants {
        if TAKEN_NAMES.iter().any(|name| ident == name) {
            are_possible = false;
            errors.at(
                ident,
                format_args!(
                    "`{}::{ident}` is added to the enum by `#[veltix::message]`: give the variant \
                     another name",
                    item.ident,
                ),
            );
        }
        if *ident == item.ident {
            are_possible = false;
            errors.at(
                ident,
                format_args!(
                    "each variant has a struct of its name, and `{ident}` is also the name of the enum: \
                     rename one of them",
                ),
            );
        }
        let Fields::Named(named) = fields else { continue };
        for field in &named.named {
            if ast::bare_name(&field.ty).is_some_and(|name| name == ident) {
                are_possible = false;
                errors.at(
                    &field.ty,
                    format_args!(
                        "`{ident}` is the struct of this variant, which cannot contain itself: \
                         name the type by its path, or write `{ident}({ident})` when it is the \
                         message",
                    ),
                );
            }
        }
    }
    are_possible
}

struct Context<'a> {
    item: &'a ItemEnum,
    own: &'a OwnSerde,
    this: &'a proc_macro2::TokenStream,
}

impl Context<'_> {
    fn variant(&self, variant: &Item, options: Options, code: u16, errors: &mut Errors) -> Variant {
        let fields: Vec<Field> = variant.fields.iter().map(|field| self.field(field)).collect();
        let shape = self.shape(variant, fields, &options, errors);
        let types: Vec<_> = variant.fields.iter().map(|one| one.ty.to_token_stream()).collect();
        let generics = generics::used(&self.item.generics, &types);
        let message = match &shape {
            Shape::Itself(field) => field.ty.clone(),
            _ => ast::applied(&variant.ident, &generics),
        };
        let mut checked = Variant {
            ident: variant.ident.clone(),
            cfgs: variant.attrs.iter().filter(|one| one.path().is_ident("cfg")).cloned().collect(),
            code,
            name: naming::snake_case(&variant.ident),
            description: naming::description(&variant.attrs),
            options,
            shape,
            generics,
            message,
            moved: Vec::new(),
            shadowed: Vec::new(),
            fits_a_shadow: serde_attributes::fits_a_shadow(&variant.attrs)
                && variant.fields.iter().all(|one| serde_attributes::fits_a_shadow(&one.attrs)),
        };
        if let Some(name) = &checked.options.name {
            checked.name = name.value();
        }
        let has_serde = checked.has_serde();
        checked.moved = serde_attributes::moved(&variant.attrs, has_serde, self.own);
        if has_serde {
            let mut renamed = serde_attributes::only(&variant.attrs, "rename_all");
            if renamed.is_empty() {
                renamed = serde_attributes::of_all_fields(&self.item.attrs);
                checked.moved.extend(renamed.iter().cloned());
            }
            checked.shadowed = renamed;
        } else if !self.own.is_possible() && !matches!(checked.shape, Shape::Broken(_)) {
            let why = "serde does not write this body: remove the attribute";
            serde_attributes::refuse(&variant.attrs, why, errors);
            for field in &variant.fields {
                serde_attributes::refuse(&field.attrs, why, errors);
            }
        }
        check_answers(&checked.options, errors);
        check_class(&checked, errors);
        checked
    }

    fn field(&self, field: &syn::Field) -> Field {
        Field {
            ident: field.ident.clone(),
            cfgs: field.attrs.iter().filter(|one| one.path().is_ident("cfg")).cloned().collect(),
            moved: serde_attributes::moved(&field.attrs, true, &OwnSerde::Never),
            ty: generics::without_self(generics::ungrouped(field.ty.to_token_stream()), self.this),
        }
    }

    fn shape(
        &self,
        variant: &Item,
        mut fields: Vec<Field>,
        options: &Options,
        errors: &mut Errors,
    ) -> Shape {
        let ident = &variant.ident;
        let encoding = options.encoding.as_ref();
        match &variant.fields {
            Fields::Unit => {
                if let Some(encoding) = encoding {
                    let (word, example) = (encoding.word(), example(ident, encoding));
                    let text = format!(
                        "`{word}` sets the encoding of a body, but `{ident}` has no body: remove \
                         it, or write `{example}`",
                    );
                    errors.at(word, text);
                }
                if let Some(max) = &options.max {
                    errors.at(
                        max,
                        "an empty body has no limit, as its bytes are ignored: remove `max`",
                    );
                }
                Shape::Empty
            }
            Fields::Named(_) => {
                if let Some(encoding @ (Encoding::Text(word) | Encoding::Raw(word))) = encoding {
                    errors.at(
                        word,
                        format_args!(
                            "a `{word}` body is one value: write `{}`, or remove `{word}` for a \
                             body in JSON",
                            example(ident, encoding),
                        ),
                    );
                    return Shape::Broken(fields);
                }
                Shape::Named(fields)
            }
            Fields::Unnamed(unnamed) if unnamed.unnamed.len() != 1 => {
                if unnamed.unnamed.is_empty() {
                    errors
                        .at(unnamed, format_args!("write `{ident}` for a message without a body"));
                } else {
                    errors.at(
                        unnamed,
                        format_args!(
                            "a body of several values needs field names: write `{ident} {{ … }}`",
                        ),
                    );
                }
                Shape::Broken(fields)
            }
            Fields::Unnamed(unnamed) => {
                let item = &unnamed.unnamed[0];
                if let Some(cfg) = item.attrs.iter().find(|one| one.path().is_ident("cfg")) {
                    errors.at(cfg, "put the `#[cfg]` on the variant, which has only this field");
                    return Shape::Broken(fields);
                }
                let is_serde = !matches!(encoding, Some(Encoding::Text(_) | Encoding::Raw(_)));
                let is_own = ast::last_segment(&item.ty).is_some_and(|name| name == ident);
                // The earlier arms leave exactly one field.
                let field = fields.remove(0);
                if is_own && is_serde {
                    if let Some(path) = options.derives.first() {
                        let text =
                            format!("`{ident}` is your own type: put the `#[derive]` on it",);
                        errors.at(path, text);
                    }
                    Shape::Itself(field)
                } else {
                    Shape::Newtype(field)
                }
            }
        }
    }
}

fn example(ident: &Ident, encoding: &Encoding) -> String {
    match encoding {
        Encoding::Text(_) => format!("{ident}(String)"),
        Encoding::Raw(_) => format!("{ident}(Bytes)"),
        Encoding::Postcard(_) => format!("{ident} {{ … }}"),
    }
}

fn check_answers(options: &Options, errors: &mut Errors) {
    match (&options.reply, &options.error) {
        (None, Some(error)) => {
            errors.at(error, "an `error` replaces a reply: add `reply = …`, or remove it")
        }
        (Some(reply), Some(error))
            if reply.to_token_stream().to_string() == error.to_token_stream().to_string() =>
        {
            errors.at(
                error,
                "the error needs its own code, so that it differs from the reply: name another \
                 message",
            );
        }
        _ => {}
    }
}

fn check_class(variant: &Variant, errors: &mut Errors) {
    let Some(Class::Latest(_, Some(field))) = &variant.options.class else { return };
    if latest_field(variant, field).is_none() {
        let names: Vec<String> = (0..)
            .zip(variant.fields())
            .map(|(at, field): (usize, _)| {
                let name = field.ident.as_ref().map(|name| name.unraw().to_string());
                format!("`latest = \"{}\"`", name.unwrap_or_else(|| at.to_string()))
            })
            .collect();
        let text = if names.is_empty() {
            "there is no field to distinguish values by: write `latest` alone".to_owned()
        } else {
            format!(
                "`{}` has no field `{}`: write {}, or `latest` alone when there is one value",
                variant.ident,
                field.value(),
                names.join(" or "),
            )
        };
        errors.at(field, text);
    }
}

/// Returns the field that `latest` names, and the name that a pattern binds it to.
pub(crate) fn latest_field<'a>(variant: &'a Variant, name: &LitStr) -> Option<(&'a Field, Ident)> {
    let named = variant.fields().iter().enumerate().find(|(at, field)| match &field.ident {
        Some(ident) => ident.unraw() == name.value(),
        None => at.to_string() == name.value(),
    });
    named.map(|(at, field)| (field, binding(at, field)))
}

/// Returns the name that a pattern binds a field to. No constant has it.
pub(crate) fn binding(at: usize, field: &Field) -> Ident {
    match &field.ident {
        Some(ident) => format_ident!("__field_{}", ident.unraw()),
        None => format_ident!("__field_{at}"),
    }
}
