//! [`Part`]: the peers or groups of one node in a watch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use veltix_core::cluster::DiffStep;
use veltix_core::limits::{CLUSTER_WATCH_ITEMS, CLUSTER_WATCH_RETRY};

use super::item::Item;
use crate::gathered::Missing;

/// The part of one node.
pub(super) struct Part<I: Item> {
    /// The number of the last question. Changes of an earlier one are ignored.
    epoch: u32,
    version: u64,
    asked_at: Instant,
    state: State,
    items: BTreeMap<I::Key, I>,
    /// The list that is arriving in several records.
    list: Option<Vec<I>>,
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
        Self { epoch: 1, version: 0, asked_at: now, state, items: BTreeMap::new(), list: None }
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
        if epoch != self.epoch {
            return;
        }
        let is_next = version == self.version.wrapping_add(1);
        match (steps.first(), &self.state) {
            (Some(DiffStep::Reset(_) | DiffStep::Begin(_)), _) => {}
            (Some(DiffStep::More(_) | DiffStep::End(_)), _) if is_next && self.list.is_some() => {}
            (_, State::Current) if is_next || fault!("watch_trusted_behind_a_gap") => {}
            (_, State::Current) => return self.lag(),
            _ => return self.list = None,
        }
        self.version = version;
        for step in steps {
            match step {
                DiffStep::Reset(items) => self.reset(items, &mut tell),
                DiffStep::Begin(items) => self.list(Vec::new(), items),
                DiffStep::More(items) => {
                    if let Some(list) = self.list.take() {
                        self.list(list, items);
                    }
                }
                DiffStep::End(items) => {
                    if let Some(mut list) = self.list.take() {
                        list.extend(items);
                        self.reset(list, &mut tell);
                    }
                }
                DiffStep::Entered(item) => self.enter(item, &mut tell),
                DiffStep::Left(item) => {
                    if self.items.remove(&item.key()).is_some() {
                        tell(PartChange::Left(item));
                    }
                }
            }
        }
    }

    /// Adds items to a list that is arriving. A long list is not asked for again while it arrives.
    fn list(&mut self, mut list: Vec<I>, items: Vec<I>) {
        list.extend(items);
        list.truncate(CLUSTER_WATCH_ITEMS + 1);
        (self.list, self.asked_at) = (Some(list), Instant::now());
    }

    fn reset(&mut self, items: Vec<I>, tell: &mut impl FnMut(PartChange<I>)) {
        (self.state, self.list) = (State::Current, None);
        let mut before = std::mem::take(&mut self.items);
        for item in items {
            match before.remove(&item.key()) {
                Some(_) => _ = self.items.insert(item.key(), item),
                None => self.enter(item, tell),
            }
        }
        before.into_values().for_each(|item| tell(PartChange::Left(item)));
    }

    fn enter(&mut self, item: I, tell: &mut impl FnMut(PartChange<I>)) {
        // A node has fewer peers than that: the rest is not of a node.
        if self.items.len() >= CLUSTER_WATCH_ITEMS {
            self.state = State::Missing(Missing::Truncated);
            return;
        }
        if self.items.insert(item.key(), item.clone()).is_none() {
            tell(PartChange::Entered(item));
        }
    }
}
