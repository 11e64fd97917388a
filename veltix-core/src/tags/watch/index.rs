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

/// The index of all watches. A change finds the watches that depend on a changed name or value
/// and, if these are many, those among them that the peer can belong to at all. So watches on other
/// rooms cost nothing.
#[derive(Debug, Default)]
pub(super) struct WatchIndex {
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
#[derive(Clone, Copy)]
enum Guard<'a> {
    Name(&'a Arc<str>),
    Value(&'a Arc<str>, &'a StoredValue),
}

impl<'a> Guard<'a> {
    const fn atom(self) -> Atom<'a> {
        match self {
            Self::Name(name) => Atom::GuardName(name),
            Self::Value(name, value) => Atom::GuardValue(name, value),
        }
    }
}

impl WatchIndex {
    pub(super) fn insert(&mut self, id: WatchId, target: &Expression, by: Option<&Arc<str>>) {
        atoms(target, by, &mut |atom| self.add(id, atom));
        let guards = self.guards(target);
        let is_guarded = guards.is_some();
        for guard in guards.into_iter().flatten() {
            self.add(id, guard.atom());
        }
        if !is_guarded {
            self.open.insert(id);
        }
    }

    fn add(&mut self, id: WatchId, atom: Atom<'_>) {
        let by_name = self.names.entry(Arc::clone(atom.name())).or_default();
        match atom {
            Atom::Value(_, value) => by_name.values.entry(value.clone()).or_default(),
            Atom::GuardValue(_, value) => by_name.guard_values.entry(value.clone()).or_default(),
            atom => by_name.plain(atom),
        }
        .insert(id);
    }

    pub(super) fn remove(&mut self, id: WatchId, target: &Expression, by: Option<&Arc<str>>) {
        self.open.remove(&id);
        let mut remove_atom = |atom: Atom<'_>| {
            let Some(by_name) = self.names.get_mut(atom.name()) else { return };
            match atom {
                Atom::Value(_, value) => remove(&mut by_name.values, value, id),
                Atom::GuardValue(_, value) => remove(&mut by_name.guard_values, value, id),
                atom => _ = by_name.plain(atom).remove(&id),
            }
            if by_name.is_empty() {
                self.names.remove(atom.name());
            }
        };
        atoms(target, by, &mut remove_atom);
        // The guards that were chosen are among the possible ones, and other watches may change the choice.
        possible_guards(target, &mut |guard| remove_atom(guard.atom()));
    }

    /// Returns the guards of a target, or `None` if it may match a peer without any tag.
    ///
    /// One term of an `And` suffices: the one that selects the smallest share of the peers. A name selects
    /// all, and a value one of those that are watched: with a watch of each room, the room is a better guard
    /// than a tag that all targets have in common.
    fn guards<'a>(&self, target: &'a Expression) -> Option<Vec<Guard<'a>>> {
        match target {
            Expression::And(terms) => {
                let terms = terms.list.iter().filter_map(|term| self.guards(term));
                terms.min_by_key(|guards| self.share(guards))
            }
            Expression::Or(terms) => {
                let guards: Option<Vec<_>> =
                    terms.list.iter().map(|term| self.guards(term)).collect();
                Some(guards?.concat())
            }
            Expression::All | Expression::Peers(_) | Expression::Not(_) => None,
            term => {
                let mut guards = Vec::new();
                possible_guards(term, &mut |guard| guards.push(guard));
                Some(guards)
            }
        }
    }

    /// Estimates the share of the peers that have one of these guards: the number of names, then the sum of
    /// the shares of the values, then their number.
    fn share(&self, guards: &[Guard<'_>]) -> (usize, u64, usize) {
        let (mut names, mut share) = (0, 0);
        for guard in guards {
            match guard {
                Guard::Name(_) => names += 1,
                Guard::Value(name, _) => {
                    let watched = self.names.get(*name).map_or(1, |by_name| by_name.values.len());
                    share += (1 << 32) / watched.max(1) as u64;
                }
            }
        }
        (names, share, guards.len())
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

/// Calls `found` with each atom of a target, and of the name by which a watch groups.
fn atoms<'a>(target: &'a Expression, by: Option<&'a Arc<str>>, found: &mut impl FnMut(Atom<'a>)) {
    by.into_iter().for_each(|name| found(Atom::Any(name)));
    match target {
        Expression::Has(name) => found(Atom::Presence(name)),
        Expression::Is(name, value) => found(Atom::Value(name, value)),
        Expression::AnyOf(name, values) => {
            values.iter().for_each(|value| found(Atom::Value(name, value)));
        }
        Expression::Compare(name, _, _) => found(Atom::Numbers(name)),
        Expression::Not(term) => atoms(term, None, found),
        Expression::And(terms) | Expression::Or(terms) => {
            terms.list.iter().for_each(|term| atoms(term, None, found));
        }
        Expression::All | Expression::Nobody | Expression::Peers(_) | Expression::Invalid(_) => {}
    }
}

/// Calls `found` with each guard that a target can have.
fn possible_guards<'a>(target: &'a Expression, found: &mut impl FnMut(Guard<'a>)) {
    match target {
        Expression::Has(name) | Expression::Compare(name, _, _) => found(Guard::Name(name)),
        Expression::Is(name, value) => found(Guard::Value(name, value)),
        Expression::AnyOf(name, values) => {
            values.iter().for_each(|value| found(Guard::Value(name, value)));
        }
        Expression::And(terms) | Expression::Or(terms) => {
            terms.list.iter().for_each(|term| possible_guards(term, found));
        }
        Expression::All
        | Expression::Nobody
        | Expression::Peers(_)
        | Expression::Not(_)
        | Expression::Invalid(_) => {}
    }
}
