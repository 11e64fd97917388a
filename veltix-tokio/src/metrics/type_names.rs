//! [`TypeNames`]: the names of message types as labels.

use std::collections::BTreeMap;

use veltix_core::MessageType;
use veltix_core::limits::METRIC_TYPES;

/// The label of types beyond the limit, and of codes without a type.
pub(crate) const OTHER: &str = "other";

/// The names of message types as labels. Peers cannot add a name: it would be a series for ever.
#[derive(Debug, Default)]
pub(crate) struct TypeNames(BTreeMap<u16, &'static str>);

impl TypeNames {
    /// Takes the first types, by code.
    pub(crate) fn of(types: impl IntoIterator<Item = MessageType>) -> Self {
        let types = types.into_iter().take(METRIC_TYPES);
        Self(types.map(|it| (it.code(), it.name())).collect())
    }

    /// Returns the label of a code.
    pub(crate) fn label(&self, code: u16) -> &'static str {
        self.0.get(&code).copied().unwrap_or(OTHER)
    }

    /// Returns all labels, in the order of their codes, and then the one of all other codes.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &'static str> {
        self.0.values().copied().chain([OTHER])
    }
}
