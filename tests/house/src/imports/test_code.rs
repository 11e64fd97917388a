//! Which code exists only in tests.

use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Expr, ExprMatch, ExprStruct, FieldsNamed, ImplItem, Item, ItemEnum, ItemImpl,
    ItemTrait, Meta, Stmt, Token, TraitItem,
};

/// Returns whether the attributes compile their item in tests only: `#[test]`, `#[cfg(test)]`,
/// `#[cfg(all(test, …))]`.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().is_ok_and(|condition| needs_test(&condition))
        }
        _ => false,
    })
}

/// Returns whether the condition of a `cfg` holds only if `test` does.
fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            let Ok(parts) = parts else { return false };
            if list.path.is_ident("all") {
                parts.iter().any(needs_test)
            } else {
                list.path.is_ident("any") && !parts.is_empty() && parts.iter().all(needs_test)
            }
        }
        Meta::NameValue(_) => false,
    }
}

/// Returns the attributes of an item.
pub(crate) fn of_item(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Removes the test code from items that stand in blocks, `impl`s and traits, and from the parts of
/// items. The items of modules themselves are the caller's.
#[derive(Debug)]
pub(crate) struct Strip;

impl VisitMut for Strip {
    fn visit_block_mut(&mut self, block: &mut Block) {
        block.stmts.retain(|statement| !is_test(of_statement(statement)));
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_item_impl_mut(&mut self, item: &mut ItemImpl) {
        item.items.retain(|item| {
            !is_test(match item {
                ImplItem::Const(item) => &item.attrs,
                ImplItem::Fn(item) => &item.attrs,
                ImplItem::Type(item) => &item.attrs,
                ImplItem::Macro(item) => &item.attrs,
                _ => &[],
            })
        });
        visit_mut::visit_item_impl_mut(self, item);
    }

    fn visit_item_trait_mut(&mut self, item: &mut ItemTrait) {
        item.items.retain(|item| {
            !is_test(match item {
                TraitItem::Const(item) => &item.attrs,
                TraitItem::Fn(item) => &item.attrs,
                TraitItem::Type(item) => &item.attrs,
                TraitItem::Macro(item) => &item.attrs,
                _ => &[],
            })
        });
        visit_mut::visit_item_trait_mut(self, item);
    }

    fn visit_fields_named_mut(&mut self, fields: &mut FieldsNamed) {
        fields.named = without_tests(&fields.named, |field| &field.attrs);
        visit_mut::visit_fields_named_mut(self, fields);
    }

    fn visit_item_enum_mut(&mut self, item: &mut ItemEnum) {
        item.variants = without_tests(&item.variants, |variant| &variant.attrs);
        visit_mut::visit_item_enum_mut(self, item);
    }

    fn visit_expr_struct_mut(&mut self, literal: &mut ExprStruct) {
        literal.fields = without_tests(&literal.fields, |field| &field.attrs);
        visit_mut::visit_expr_struct_mut(self, literal);
    }

    fn visit_expr_match_mut(&mut self, expression: &mut ExprMatch) {
        expression.arms.retain(|arm| !is_test(&arm.attrs));
        visit_mut::visit_expr_match_mut(self, expression);
    }
}

fn without_tests<T: Clone>(
    parts: &Punctuated<T, Token![,]>,
    attributes: fn(&T) -> &[Attribute],
) -> Punctuated<T, Token![,]> {
    parts.iter().filter(|part| !is_test(attributes(part))).cloned().collect()
}

fn of_statement(statement: &Stmt) -> &[Attribute] {
    match statement {
        Stmt::Local(statement) => &statement.attrs,
        Stmt::Item(item) => of_item(item),
        Stmt::Macro(statement) => &statement.attrs,
        Stmt::Expr(Expr::Block(block), _) => &block.attrs,
        Stmt::Expr(Expr::Call(call), _) => &call.attrs,
        Stmt::Expr(Expr::MethodCall(call), _) => &call.attrs,
        Stmt::Expr(Expr::If(condition), _) => &condition.attrs,
        Stmt::Expr(..) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_test_item(code: &str) -> bool {
        is_test(of_item(&syn::parse_str::<Item>(code).unwrap()))
    }

    #[test]
    fn conditions_that_need_test_are_test_code() {
        assert!(is_test_item("#[cfg(test)] mod tests {}"));
        assert!(is_test_item("#[cfg(all(test, not(shuttle)))] mod tests {}"));
        assert!(is_test_item("#[cfg(any(all(test, unix), all(windows, test)))] fn f() {}"));
        assert!(is_test_item("#[test] fn f() {}"));
    }

    #[test]
    fn conditions_that_hold_without_test_are_no_test_code() {
        assert!(!is_test_item("#[cfg(not(test))] mod a {}"));
        assert!(!is_test_item("#[cfg(any(test, feature = \"testing\"))] mod a {}"));
        assert!(!is_test_item("#[cfg(feature = \"test\")] mod a {}"));
        assert!(!is_test_item("mod tests {}"));
    }
}
