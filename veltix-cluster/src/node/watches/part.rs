//! [`Part`]: the peers or groups of one node in a watch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use veltix_core::cluster::DiffStep;
use veltix_core::limits::{CLUSTER_WATCH_BYTES, CLUSTER_WATCH_ITEMS, CLUSTER_WATCH_RETRY};

use super::item::Item;
use crate::gathered::Missing;

/// The part of one node.
pub(super) struct Part<I: Item> {
    /// The number of the last question.
    epoch: u32,
    /// The number of the question to which the items belong. Changes of an earlier one are ignored. It is behind
    /// the last question while the answers take longer than the time after which a node is asked again.
    told: u32,
    version: u64,
    asked_at: Instant,
    state: State,
    items: BTreeMap<I::Key, I>,
    /// The bytes of the items.
    bytes: usize,
    /// The list that is arriving in several records.
    list: Option<List<I>>,
}

struct List<I> {
    items: Vec<I>,
    bytes: usize,
}

enum State {
    /// The node was asked, and has not told its items.
    Asked,
    /// The items are those of a moment ago.
    Current,
    /// Changes are missing: the node is asked again.
    Behind,
    /// The node does not watch.
    Missing(Missing),
}

/// A change of a part.
pub(super) enum PartChange<I> {
    Entered(I),
    Left(I),
}

impl<I: Item> Part<I> {
    pub(super) const fn new(now: Instant) -> Self {
        Self::with(now, State::Asked)
    }

    /// Creates the part of a node that does not watch.
    pub(super) const fn without(now: Instant, missing: Missing) -> Self {
        Self::with(now, State::Missing(missing))
    }

    const fn with(now: Instant, state: State) -> Self {
        Self {
            epoch: 1,
            told: 0,
            version: 0,
            asked_at: now,
            state,
            items: BTreeMap::new(),
            bytes: 0,
            list: None,
        }
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &I> {
        self.items.values()
    }

    pub(super) fn into_items(self) -> impl Iterator<Item = I> {
        self.items.into_values()
    }

    /// Returns the reason for which the part is not current.
    pub(super) fn missing(&self) -> Option<Missing> {
        match &self.state {
            State::Asked | State::Behind => Some(Missing::TimedOut),
            State::Current => None,
            State::Missing(missing) => Some(missing.clone()),
        }
    }

    pub(super) fn refuse(&mut self, reason: &Arc<str>) {
        self.state = State::Missing(Missing::Refused(Arc::clone(reason)));
    }

    /// Records that changes are missing.
    pub(super) fn lag(&mut self) {
        if matches!(self.state, State::Current) && !fault!("watch_trusted_behind_a_gap") {
            self.state = State::Behind;
        }
    }

    /// Asks again if changes are missing, or if there was no answer. Returns whether to do so.
    pub(super) fn renew(&mut self, now: Instant) -> bool {
        let retry: Duration = CLUSTER_WATCH_RETRY;
        let is_due = match self.state {
            State::Behind => true,
            State::Asked | State::Missing(Missing::Refused(_)) => now >= self.asked_at + retry,
            State::Current | State::Missing(_) => false,
        };
        if is_due {
            self.epoch = self.epoch.wrapping_add(1);
            (self.asked_at, self.state, self.list) = (now, State::Asked, None);
        }
        is_due
    }

    /// Applies changes. An item is never entered or left twice.
    pub(super) fn change(
        &mut self,
        epoch: u32,
        version: u64,
        steps: Vec<DiffStep<I>>,
        mut tell: impl FnMut(PartChange<I>),
    ) {
        let begins = matches!(steps.first(), Some(DiffStep::Reset(_) | DiffStep::Begin(_)));
        if epoch > self.told && epoch <= self.epoch {
            if !begins {
                return self.lag();
            }
            (self.told, self.list) = (epoch, None);
        }
        if epoch != self.told {
            return;
        }
        let is_next = version == self.version.wrapping_add(1);
        match (steps.first(), &self.state) {
            _ if begins => {}
            (Some(DiffStep::More(_) | DiffStep::End(_)), _) if is_next && self.list.is_some() => {}
            // A list without its begin.
            (Some(DiffStep::More(_) | DiffStep::End(_)), State::Current) => return self.lag(),
            (_, State::Current) if is_next || fault!("watch_trusted_behind_a_gap") => {}
            (_, State::Current) => return self.lag(),
            _ => return self.list = None,
        }
        self.version = version;
        for step in steps {
            match step {
                DiffStep::Reset(items) => self.reset(items, &mut tell),
                DiffStep::Begin(items) => {
                    self.list(List { items: Vec::new(), bytes: 0 }, items);
                }
                DiffStep::More(items) => {
                    if let Some(list) = self.list.take() {
                        self.list(list, items);
                    }
                }
                DiffStep::End(items) => {
                    if let Some(list) = self.list.take() {
                        self.list(list, items);
                        let list = self.list.take();
                        self.reset(list.map(|list| list.items).unwrap_or_default(), &mut tell);
                    }
                }
                DiffStep::Entered(item) => self.enter(item, &mut tell),
                DiffStep::Left(item) => {
                    if let Some(left) = self.items.remove(&item.key()) {
                        self.bytes -= left.size();
                        tell(PartChange::Left(item));
                    }
                }
            }
        }
    }

    /// Adds items to a list that is arriving. A long list is not asked for again while it arrives.
    fn list(&mut self, mut list: List<I>, items: Vec<I>) {
        for item in items {
            // The item over the limit shows that the list is too long.
            if list.items.len() > CLUSTER_WATCH_ITEMS || list.bytes > CLUSTER_WATCH_BYTES {
                break;
            }
            list.bytes += item.size();
            list.items.push(item);
        }
        (self.list, self.asked_at) = (Some(list), Instant::now());
    }

    fn reset(&mut self, items: Vec<I>, tell: &mut impl FnMut(PartChange<I>)) {
        (self.state, self.list) = (State::Current, None);
        let mut before = std::mem::take(&mut self.items);
        self.bytes = 0;
        for item in items {
            if !self.has_room(&item) {
                break;
            }
            match before.remove(&item.key()) {
                Some(_) => _ = self.insert(item),
                None => self.enter(item, tell),
            }
        }
        before.into_values().for_each(|item| tell(PartChange::Left(item)));
    }

    fn enter(&mut self, item: I, tell: &mut impl FnMut(PartChange<I>)) {
        if self.has_room(&item) && self.insert(item.clone()) {
            tell(PartChange::Entered(item));
        }
    }

    /// Returns whether there is room for an item. A node has fewer peers than that: the rest is not of a node.
    fn has_room(&mut self, item: &I) -> bool {
        let bytes = self.bytes.saturating_add(item.size());
        let has_room = self.items.len() < CLUSTER_WATCH_ITEMS && bytes <= CLUSTER_WATCH_BYTES;
        if !has_room {
            self.state = State::Missing(Missing::Truncated);
        }
        has_room
    }

    /// Adds an item, and returns whether it is a new one.
    fn insert(&mut self, item: I) -> bool {
        self.bytes += item.size();
        let before = self.items.insert(item.key(), item);
        self.bytes -= before.as_ref().map_or(0, I::size);
        before.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use veltix_core::{Group, TagValue};

    use super::super::{Feed, Table};
    use super::*;

    fn groups(numbers: impl IntoIterator<Item = i64>) -> Vec<Group> {
        numbers.into_iter().map(|number| Group::of(number.into())).collect()
    }

    /// A part with the groups that its reader has.
    struct Reader {
        part: Part<Group>,
        inside: BTreeSet<TagValue>,
    }

    impl Reader {
        fn new() -> Self {
            Self { part: Part::new(Instant::now()), inside: BTreeSet::new() }
        }

        fn change(&mut self, version: u64, step: DiffStep<Group>) {
            let inside = &mut self.inside;
            self.part.change(1, version, vec![step], |change| match change {
                PartChange::Entered(group) => assert!(inside.insert(group.key)),
                PartChange::Left(group) => assert!(inside.remove(&group.key)),
            });
            assert!(self.part.items().map(|group| &group.key).eq(&self.inside));
            assert_eq!(self.part.bytes, self.part.items().map(Item::size).sum::<usize>());
        }

        fn sees(&self, numbers: impl IntoIterator<Item = i64>) -> bool {
            self.inside == groups(numbers).into_iter().map(|group| group.key).collect()
        }
    }

    #[tokio::test]
    async fn an_answer_counts_though_the_node_was_asked_again() {
        let mut reader = Reader::new();
        let late = Instant::now() + CLUSTER_WATCH_RETRY;
        assert!(reader.part.renew(late) && reader.part.epoch() == 2);
        reader.change(1, DiffStep::Reset(groups([1, 2])));
        assert!(reader.sees([1, 2]) && reader.part.missing().is_none());
        reader.change(2, DiffStep::Entered(groups([3]).remove(0)));
        assert!(reader.sees([1, 2, 3]));
        // The begin of the second answer is lost, and then that of the third one arrives.
        reader.part.change(2, 2, vec![DiffStep::Entered(groups([4]).remove(0))], |_| panic!());
        assert_eq!(reader.part.missing(), Some(Missing::TimedOut));
        assert!(reader.part.renew(late));
        reader.part.change(3, 1, vec![DiffStep::Reset(groups([1, 2, 3]))], |_| panic!());
        assert_eq!(reader.part.missing(), None);
        // Changes of another question are not those of this one.
        for epoch in [0, 1, 2, 4] {
            for step in [DiffStep::Reset(groups([9])), DiffStep::Entered(groups([9]).remove(0))] {
                reader.part.change(epoch, 2, vec![step], |_| panic!());
            }
        }
        assert_eq!(reader.part.missing(), None);
    }

    #[tokio::test]
    async fn only_a_whole_list_counts() {
        let mut reader = Reader::new();
        // Pieces without a begin, and a begin that another one replaces.
        reader.change(1, DiffStep::More(groups([1])));
        reader.change(2, DiffStep::End(groups([2])));
        reader.change(3, DiffStep::Begin(groups([3])));
        reader.change(4, DiffStep::Begin(groups([4])));
        reader.change(5, DiffStep::More(groups([5, 5])));
        assert!(reader.sees([]) && reader.part.missing() == Some(Missing::TimedOut));
        reader.change(6, DiffStep::End(groups([6])));
        assert!(reader.sees([4, 5, 6]) && reader.part.missing().is_none());
        // A list of which a piece is lost changes nothing, and is asked for again.
        reader.change(7, DiffStep::Begin(groups([7])));
        reader.change(9, DiffStep::End(groups([9])));
        assert!(reader.sees([4, 5, 6]) && reader.part.missing() == Some(Missing::TimedOut));
        reader.change(8, DiffStep::More(groups([8])));
        reader.change(1, DiffStep::Begin(groups([1])));
        reader.change(2, DiffStep::Left(groups([4]).remove(0)));
        reader.change(3, DiffStep::End(groups([5])));
        assert!(reader.sees([4, 5, 6]), "an item in between ends the list");
        reader.change(4, DiffStep::Begin(groups([1])));
        reader.change(5, DiffStep::End(groups([5])));
        assert!(reader.sees([1, 5]) && reader.part.missing().is_none());
        reader.change(6, DiffStep::Left(groups([5]).remove(0)));
        reader.change(7, DiffStep::Reset(groups([1, 2, 2])));
        assert!(reader.sees([1, 2]) && reader.part.missing().is_none());
        reader.change(8, DiffStep::End(groups([3])));
        assert!(reader.sees([1, 2]) && reader.part.missing() == Some(Missing::TimedOut));
    }

    /// An item of a mebibyte.
    #[derive(Clone)]
    struct Large(u64);

    impl Item for Large {
        type Key = u64;

        fn key(&self) -> u64 {
            self.0
        }

        fn size(&self) -> usize {
            1 << 20
        }

        fn feeds(_: &mut Table) -> &mut BTreeMap<u64, Feed<Self>> {
            unreachable!("the part has no table")
        }
    }

    #[tokio::test]
    async fn an_endless_list_has_a_limit_in_bytes() {
        let mut part = Part::new(Instant::now());
        let mut inside = BTreeSet::new();
        let mut change = |version, step| {
            part.change(1, version, vec![step], |change| match change {
                PartChange::Entered(Large(item)) => assert!(inside.insert(item)),
                PartChange::Left(Large(item)) => assert!(inside.remove(&item)),
            });
            let list = part.list.as_ref().map_or(0, |list| list.items.len());
            (list, inside.len(), part.missing())
        };
        assert_eq!(change(1, DiffStep::Reset(vec![Large(900)])), (0, 1, None));
        assert_eq!(change(2, DiffStep::Begin(vec![Large(0)])), (1, 1, None));
        for version in 3..1_000 {
            change(version, DiffStep::More(vec![Large(version)]));
        }
        assert_eq!(change(1_000, DiffStep::More(vec![Large(1_000)])), (257, 1, None));
        let truncated = (0, 256, Some(Missing::Truncated));
        assert_eq!(change(1_001, DiffStep::End(vec![Large(1_001)])), truncated);
        let items = (0..500).map(Large).collect();
        assert_eq!(change(1_002, DiffStep::Reset(items)), truncated);
        let items = (0..100).map(Large).collect();
        assert_eq!(change(1_003, DiffStep::Reset(items)), (0, 100, None));
        for version in 1_004..2_000 {
            change(version, DiffStep::Entered(Large(version)));
        }
        assert_eq!(change(2_000, DiffStep::Entered(Large(2_000))), truncated);
    }
}
