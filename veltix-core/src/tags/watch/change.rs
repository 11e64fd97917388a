//! The changes of one name of a peer, as watches see them.

use super::super::peer_tags::Values;
use super::super::stored::StoredValue;
use super::super::view::TagsView;

/// A change of one name that is about to happen.
#[derive(Clone, Copy)]
pub(in crate::tags) enum Change<'a> {
    /// A tag receives this value, in place of the value that it has.
    Set(&'a str, &'a StoredValue),
    /// A tag or a set is removed.
    Remove(&'a str),
    /// A set that lacks this value, or does not exist, receives it.
    Join(&'a str, &'a StoredValue),
    /// A set that has other values loses this one.
    Leave(&'a str, &'a StoredValue),
}

/// A delta is the difference of the values of one name.
pub(super) struct Delta<'a> {
    pub(super) name: &'a str,
    pub(super) removed: Vec<StoredValue>,
    pub(super) added: Option<&'a StoredValue>,
    /// Is true if the peer has the name either before the change or after it.
    pub(super) changes_presence: bool,
}

impl<'a> Change<'a> {
    pub(super) const fn name(self) -> &'a str {
        match self {
            Self::Set(name, _)
            | Self::Remove(name)
            | Self::Join(name, _)
            | Self::Leave(name, _) => name,
        }
    }

    /// Returns the difference that the change makes to these tags.
    pub(super) fn delta(self, tags: TagsView<'_>) -> Delta<'a> {
        let name = self.name();
        let before = tags.get(name);
        let (removed, added) = match self {
            Self::Set(_, value) => match before {
                Some(Values::One(old)) if old == value => (Vec::new(), None),
                _ => (tags.values(name).cloned().collect(), Some(value)),
            },
            Self::Remove(_) => (tags.values(name).cloned().collect(), None),
            Self::Join(_, value) => (Vec::new(), Some(value)),
            Self::Leave(_, value) => (vec![value.clone()], None),
        };
        let changes_presence = before.is_none() || matches!(self, Self::Remove(_));
        Delta { name, removed, added, changes_presence }
    }
}
