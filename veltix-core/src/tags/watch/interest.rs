//! The index that finds the watches that a change may concern.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::expression::Expression;
use super::super::peer_tags::Values;
use super::super::stored::StoredValue;
use super::super::view::TagsView;
use super::change::Delta;
use super::id::WatchId;

type Ids = BTreeSet<WatchId>;

/// The interest of all watches. A change finds the watches that depend on a changed name or value
/// and, if these are many, those among them that the peer can belong to at all. So watches on other
/// rooms cost nothing.
#[derive(Debug, Default)]
pub(super) struct Interest {
    names: BTreeMap<Arc<str>, ByName>,
    /// Holds the watches without guards, whose target may match a peer with none of their tags.
    open: Ids,
}

#[derive(Debug, Default)]
struct ByName {
    /// Depend on whether a peer has this value.
    values: BTreeMap<StoredValue, Ids>,
    /// Depend on whether a peer has the name.
    presence: Ids,
    /// Depend on the values that are numbers.
    numbers: Ids,
    /// Depend on all values, because they group by the name.
    any: Ids,
    /// Have this value as a guard.
    guard_values: BTreeMap<StoredValue, Ids>,
    /// Have the name as a guard.
    guard_name: Ids,
}

/// A part of a target whose truth depends on one name.
#[derive(Clone, Copy)]
enum Atom<'a> {
    Value(&'a Arc<str>, &'a StoredValue),
    Presence(&'a Arc<str>),
    Numbers(&'a Arc<str>),
    Any(&'a Arc<str>),
    GuardValue(&'a Arc<str>, &'a StoredValue),
    GuardName(&'a Arc<str>),
}

/// Guards are the tags of which a peer has at least one if a target matches it.
type Guards<'a> = Vec<(&'a Arc<str>, Option<&'a StoredValue>)>;

impl Interest {
    pub(super) fn insert(&mut self, id: WatchId, target: &Expression, by: Option<&Arc<str>>) {
        let is_guarded = visit(target, by, &mut |atom| {
            let by_name = self.names.entry(Arc::clone(atom.name())).or_default();
            match atom {
                Atom::Value(_, value) => by_name.values.entry(value.clone()).or_default(),
                Atom::GuardValue(_, value) => {
                    by_name.guard_values.entry(value.clone()).or_default()
                }
                atom => by_name.plain(atom),
            }
            .insert(id);
        });
        if !is_guarded {
            self.open.insert(id);
        }
    }

    pub(super) fn remove(&mut self, id: WatchId, target: &Expression, by: Option<&Arc<str>>) {
        self.open.remove(&id);
        visit(target, by, &mut |atom| {
            let Some(by_name) = self.names.get_mut(atom.name()) else { return };
            match atom {
                Atom::Value(_, value) => remove(&mut by_name.values, value, id),
                Atom::GuardValue(_, value) => remove(&mut by_name.guard_values, value, id),
                atom => _ = by_name.plain(atom).remove(&id),
            }
            if by_name.is_empty() {
                self.names.remove(atom.name());
            }
        });
    }

    /// Returns whether a watch depends on the name.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.open.is_empty()
    }

    /// Returns the watches that a change of one name may concern. `tags` are those before it.
    pub(super) fn of_delta(&self, tags: TagsView<'_>, delta: &Delta<'_>) -> Ids {
        let Some(by_name) = self.names.get(delta.name) else { return Ids::new() };
        let mut direct: Vec<&Ids> = vec![&by_name.any];
        if delta.changes_presence {
            direct.push(&by_name.presence);
        }
        let changed = || delta.removed.iter().chain(delta.added);
        if !by_name.numbers.is_empty() && changed().any(StoredValue::is_number) {
            direct.push(&by_name.numbers);
        }
        direct.extend(among(&by_name.values, changed(), delta.removed.len(), |value| {
            delta.added == Some(value) || tags.contains(delta.name, value)
        }));
        // A change of a name on which many watches depend concerns the few that the peer can belong
        // to, before or after it.
        if direct.iter().map(|ids| ids.len()).sum::<usize>() > self.reach(tags) {
            let mut ids = self.of_peer(tags);
            ids.extend(&by_name.guard_name);
            ids.extend(
                delta.added.and_then(|value| by_name.guard_values.get(value)).into_iter().flatten(),
            );
            return ids;
        }
        direct.into_iter().flatten().copied().collect()
    }

    /// Returns the watches that a peer with these tags can belong to.
    pub(super) fn of_peer(&self, tags: TagsView<'_>) -> Ids {
        let mut ids = self.open.clone();
        for entry in tags.entries {
            let Some(by_name) = self.names.get(&entry.name) else { continue };
            ids.extend(&by_name.guard_name);
            let found = among(
                &by_name.guard_values,
                tags.values(&entry.name),
                size(&entry.values),
                |value| tags.contains(&entry.name, value),
            );
            ids.extend(found.into_iter().flatten());
        }
        ids
    }

    /// Estimates the number of lookups and results of [`of_peer`](Self::of_peer).
    fn reach(&self, tags: TagsView<'_>) -> usize {
        let lookups = tags.entries.iter().map(|entry| {
            let guards = self.names.get(&entry.name);
            guards.map_or(0, |by_name| {
                by_name.guard_name.len() + size(&entry.values).min(by_name.guard_values.len())
            })
        });
        1 + self.open.len() + lookups.sum::<usize>()
    }
}

impl ByName {
    fn plain(&mut self, atom: Atom<'_>) -> &mut Ids {
        match atom {
            Atom::Presence(_) => &mut self.presence,
            Atom::Numbers(_) => &mut self.numbers,
            Atom::GuardName(_) => &mut self.guard_name,
            _ => &mut self.any,
        }
    }

    fn is_empty(&self) -> bool {
        let plain = [&self.presence, &self.numbers, &self.any, &self.guard_name];
        self.values.is_empty()
            && self.guard_values.is_empty()
            && plain.iter().all(|ids| ids.is_empty())
    }
}

impl<'a> Atom<'a> {
    const fn name(self) -> &'a Arc<str> {
        match self {
            Self::Value(name, _)
            | Self::Presence(name)
            | Self::Numbers(name)
            | Self::Any(name)
            | Self::GuardValue(name, _)
            | Self::GuardName(name) => name,
        }
    }
}

/// Returns the entries of a map for these values, by way of the smaller of both.
fn among<'a, 'b>(
    map: &'a BTreeMap<StoredValue, Ids>,
    values: impl Iterator<Item = &'b StoredValue>,
    number: usize,
    contains: impl Fn(&StoredValue) -> bool,
) -> Vec<&'a Ids> {
    if map.len() < number {
        map.iter().filter(|(value, _)| contains(value)).map(|(_, ids)| ids).collect()
    } else if map.is_empty() {
        Vec::new()
    } else {
        values.filter_map(|value| map.get(value)).collect()
    }
}

fn size(values: &Values) -> usize {
    match values {
        Values::One(_) => 1,
        Values::Set(ids) => ids.len(),
    }
}

fn remove(map: &mut BTreeMap<StoredValue, Ids>, value: &StoredValue, id: WatchId) {
    if let Some(ids) = map.get_mut(value) {
        ids.remove(&id);
        if ids.is_empty() {
            map.remove(value);
        }
    }
}

/// Calls `found` with each atom and each guard, and returns whether there are guards.
fn visit<'a>(
    target: &'a Expression,
    by: Option<&'a Arc<str>>,
    found: &mut impl FnMut(Atom<'a>),
) -> bool {
    atoms(target, found);
    by.into_iter().for_each(|name| found(Atom::Any(name)));
    let Some(guards) = guards(target) else { return false };
    for (name, value) in guards {
        found(value.map_or(Atom::GuardName(name), |value| Atom::GuardValue(name, value)));
    }
    true
}

fn atoms<'a>(target: &'a Expression, found: &mut impl FnMut(Atom<'a>)) {
    match target {
        Expression::Has(name) => found(Atom::Presence(name)),
        Expression::Is(name, value) => found(Atom::Value(name, value)),
        Expression::AnyOf(name, values) => {
            values.iter().for_each(|value| found(Atom::Value(name, value)));
        }
        Expression::Compare(name, _, _) => found(Atom::Numbers(name)),
        Expression::Not(term) => atoms(term, found),
        Expression::And(terms) | Expression::Or(terms) => {
            terms.list.iter().for_each(|term| atoms(term, found));
        }
        Expression::All | Expression::Nobody | Expression::Peers(_) | Expression::Invalid(_) => {}
    }
}

/// Returns the guards of a target, or `None` if it may match a peer without any tag.
fn guards(target: &Expression) -> Option<Guards<'_>> {
    match target {
        Expression::Nobody | Expression::Invalid(_) => Some(Vec::new()),
        Expression::Has(name) | Expression::Compare(name, _, _) => Some(vec![(name, None)]),
        Expression::Is(name, value) => Some(vec![(name, Some(value))]),
        Expression::AnyOf(name, values) => {
            Some(values.iter().map(|value| (name, Some(value))).collect())
        }
        // One term suffices. A value selects fewer peers than a name.
        Expression::And(terms) => terms.list.iter().filter_map(guards).min_by_key(|guards| {
            (guards.iter().filter(|(_, value)| value.is_none()).count(), guards.len())
        }),
        Expression::Or(terms) => {
            let guards: Option<Vec<_>> = terms.list.iter().map(guards).collect();
            Some(guards?.concat())
        }
        Expression::All | Expression::Peers(_) | Expression::Not(_) => None,
    }
}
