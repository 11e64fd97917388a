//! [`TagsView`]: the tags of one peer, as targets read them.

use super::index::Index;
use super::number::Range;
use super::peer_tags::{Entry, Values};
use super::stored::StoredValue;
use super::value_table::ValueTable;

/// A view of the tags of one peer. The index has the values of its sets.
#[derive(Clone, Copy)]
pub(super) struct TagsView<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) index: &'a Index,
}

impl<'a> TagsView<'a> {
    /// Returns a view without tags.
    pub(super) const fn empty(index: &'a Index) -> Self {
        Self { entries: &[], index }
    }

    /// Returns whether there is a tag or a set of this name.
    pub(super) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns the value or the values of this name, as they are stored.
    pub(super) fn get(self, name: &str) -> Option<&'a Values> {
        self.entries.iter().find(|entry| &*entry.name == name).map(|entry| &entry.values)
    }

    /// Returns whether one of the values of this name is this one.
    pub(super) fn contains(self, name: &str, value: &StoredValue) -> bool {
        match self.get(name) {
            None => false,
            Some(Values::One(one)) => one == value,
            Some(Values::Set(ids)) => {
                let id = self.table(name).and_then(|table| table.find(value));
                id.is_some_and(|id| ids.contains(&id))
            }
        }
    }

    /// Returns whether one of the values of this name is among `wanted`, which are in ascending
    /// order.
    pub(super) fn contains_any(self, name: &str, wanted: &[StoredValue]) -> bool {
        let is_wanted = |value: &StoredValue| wanted.binary_search(value).is_ok();
        match self.get(name) {
            Some(Values::Set(ids)) if ids.len() > wanted.len() => {
                wanted.iter().any(|value| self.contains(name, value))
            }
            Some(_) => self.values(name).any(is_wanted),
            None => false,
        }
    }

    /// Returns whether one of the values of this name is in the range.
    pub(super) fn is_within(self, name: &str, range: &Range) -> bool {
        match (self.get(name), self.table(name)) {
            (Some(Values::Set(ids)), Some(table)) if ids.len() > table.numbers() => {
                table.in_range(range).any(|id| ids.contains(&id))
            }
            _ => self.values(name).any(|value| range.contains(value)),
        }
    }

    /// Returns the values of this name in no particular order.
    pub(super) fn values(self, name: &str) -> impl Iterator<Item = &'a StoredValue> {
        let values = self.get(name).into_iter();
        values.flat_map(move |values| self.values_of(name, values))
    }

    /// Returns all pairs of a name and a value in no particular order.
    pub(super) fn pairs(self) -> impl Iterator<Item = (&'a str, &'a StoredValue)> {
        self.entries.iter().flat_map(move |entry| {
            let values = self.values_of(&entry.name, &entry.values);
            values.map(|value| (&*entry.name, value))
        })
    }

    fn values_of(
        self,
        name: &str,
        values: &'a Values,
    ) -> impl Iterator<Item = &'a StoredValue> + use<'a> {
        let (one, set) = match values {
            Values::One(one) => (Some(one), None),
            Values::Set(ids) => (None, self.table(name).zip(Some(ids))),
        };
        let set = set.into_iter();
        let set = set.flat_map(|(table, ids)| ids.iter().map(|&id| table.value(id)));
        one.into_iter().chain(set)
    }

    fn table(self, name: &str) -> Option<&'a ValueTable> {
        self.index.with_name(name).map(|holders| &holders.values)
    }
}
