//! The search for the peers of a target: each name and value is looked up once, and then the sets
//! are combined, the smallest first.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use super::expression::Expression;
use super::index::{Holders, Index};
use super::number::Range;
use super::peer_id::PeerId;
use super::peer_tags::PeerTags;
use super::set::Set;
use super::view::TagsView;

/// Is the cost of checking one tag of one peer, in words of a bitmap or members of a list.
const CHECK_COST: usize = 16;

/// Is the number of different values up to which a range is planned as the union of their sets.
const COUNTED_VALUES: usize = 64;

/// Holds the tables in which targets are looked up.
#[derive(Clone, Copy)]
pub(super) struct Lookup<'a> {
    pub(super) index: &'a Index,
    pub(super) peers: &'a BTreeMap<PeerId, PeerTags>,
    /// Lists the admitted peers by slot.
    pub(super) slots: &'a [PeerId],
}

/// Found slots are the slots in a set, or all other slots. So `!` costs nothing, and the complement
/// is computed only if it is the answer.
struct Found<'a> {
    set: Cow<'a, Set>,
    negated: bool,
}

/// A plan is an expression whose names and values have been looked up.
struct Plan<'a> {
    test: Test<'a>,
    step: Step<'a>,
    /// Limits the number of matching peers.
    bound: usize,
    /// Estimates the cost of finding them, in the unit of [`CHECK_COST`]. It is 0 if the index has
    /// the set.
    work: usize,
    /// Counts the tags to check in order to decide whether one peer matches.
    checks: usize,
}

/// A test decides whether one peer matches.
enum Test<'a> {
    Expression(&'a Expression),
    /// Tests the value of one name against several comparisons, which form one range.
    Range(&'a str, Range),
}

enum Step<'a> {
    Set(Cow<'a, Set>),
    /// Finds the peers that have one of several values of one name. If peers have one value of the
    /// name, no peer is in two of the sets.
    Union {
        sets: Vec<&'a Set>,
        are_disjoint: bool,
    },
    /// Finds the peers with one of many values between two ends, which have not been visited yet.
    Range(&'a Holders, Range),
    Not(Box<Plan<'a>>),
    And(Vec<Plan<'a>>),
    Or(Vec<Plan<'a>>),
}

impl<'a> Lookup<'a> {
    /// Returns the slots of the matching peers in ascending order.
    pub(super) fn select(self, expression: &'a Expression) -> Vec<u32> {
        let found = self.find(self.plan(expression));
        let mut slots = Vec::with_capacity(found.len(self.all()));
        if found.negated {
            slots.extend(found.set.absent(self.all() as u32));
        } else {
            slots.extend(found.set.iter());
        }
        slots
    }

    /// Returns the number of matching peers. The last step only counts.
    pub(super) fn count(self, expression: &'a Expression) -> usize {
        let mut plan = self.plan(expression);
        match &mut plan.step {
            Step::And(terms) => {
                sort(terms);
                let Some(last) = terms.pop() else { return self.all() };
                let found = self.all_of(std::mem::take(terms));
                match self.filtered(&found, &last) {
                    Some(kept) => kept.len(),
                    None => found.count_and(&self.find(last), self.all()),
                }
            }
            Step::Union { sets, are_disjoint: true } => sets.iter().map(|set| set.len()).sum(),
            Step::Range(holders, range) if holders.are_single() => {
                in_range(holders, range).map(Set::len).sum()
            }
            _ => self.find(plan).len(self.all()),
        }
    }

    fn all(self) -> usize {
        self.slots.len()
    }

    fn plan(self, expression: &'a Expression) -> Plan<'a> {
        let test = Test::Expression(expression);
        let (step, bound, work, checks) = match expression {
            Expression::All => {
                let nobody = self.leaf(Test::Expression(&Expression::Nobody), None);
                return self.plan_not(test, nobody);
            }
            Expression::Nobody | Expression::Invalid(_) => return self.leaf(test, None),
            Expression::Has(name) => {
                let set = self.index.with_name(name).map(|holders| &holders.all);
                return self.leaf(test, set);
            }
            Expression::Is(name, value) => {
                return self.leaf(test, self.index.with_value(name, value));
            }
            Expression::AnyOf(name, values) => {
                let holders = self.index.with_name(name);
                let sets = values.iter().filter_map(|value| holders?.with_value(value));
                let are_disjoint = holders.is_none_or(Holders::are_single);
                return plan_union(test, sets.collect(), are_disjoint);
            }
            Expression::Compare(name, comparison, number) => {
                return self.plan_range(name, Range::new(*comparison, number));
            }
            Expression::Peers(peers) => {
                let slot = |peer| self.peers.get(peer)?.slot;
                let set: Set = peers.iter().filter_map(slot).collect();
                let bound = set.len();
                (Step::Set(Cow::Owned(set)), bound, 0, 1)
            }
            Expression::Not(term) => return self.plan_not(test, self.plan(term)),
            Expression::And(terms) => {
                let terms = self.plan_terms(&terms.list);
                let bound = terms.iter().map(|term| term.bound).min().unwrap_or_default();
                let work = terms.iter().map(Plan::reading).sum();
                let checks = terms.iter().map(|term| term.checks).sum();
                (Step::And(terms), bound, work, checks)
            }
            Expression::Or(terms) => {
                let terms: Vec<_> = terms.list.iter().map(|term| self.plan(term)).collect();
                let bound: usize = terms.iter().map(|term| term.bound).sum();
                let work = terms.iter().map(Plan::reading).sum();
                let checks = terms.iter().map(|term| term.checks).sum();
                (Step::Or(terms), bound.min(self.all()), work, checks)
            }
        };
        Plan { test, step, bound, work, checks }
    }

    fn leaf(self, test: Test<'a>, set: Option<&'a Set>) -> Plan<'a> {
        let set = set.map_or_else(|| Cow::Owned(Set::default()), Cow::Borrowed);
        let bound = set.len();
        Plan { test, step: Step::Set(set), bound, work: 0, checks: 1 }
    }

    fn plan_not(self, test: Test<'a>, term: Plan<'a>) -> Plan<'a> {
        let (work, checks) = (term.work, term.checks);
        Plan { test, step: Step::Not(Box::new(term)), bound: self.all(), work, checks }
    }

    /// Plans the terms of an `And`. Comparisons of the same name become one range if peers have one
    /// value of the name, which satisfies all of them or not. Two values of a set may satisfy one
    /// comparison each.
    fn plan_terms(self, terms: &'a VecDeque<Expression>) -> Vec<Plan<'a>> {
        let mut plans = Vec::with_capacity(terms.len());
        let mut ranges: BTreeMap<&str, Range> = BTreeMap::new();
        for term in terms {
            let Expression::Compare(name, comparison, number) = term else {
                plans.push(self.plan(term));
                continue;
            };
            if self.index.with_name(name).is_some_and(|holders| !holders.are_single()) {
                plans.push(self.plan(term));
                continue;
            }
            let mut range = Range::new(*comparison, number);
            if let Some(known) = ranges.remove(&**name) {
                range = range.and(known);
            }
            ranges.insert(name, range);
        }
        plans.extend(ranges.into_iter().map(|(name, range)| self.plan_range(name, range)));
        plans
    }

    fn plan_range(self, name: &'a str, range: Range) -> Plan<'a> {
        let test = Test::Range(name, range.clone());
        let Some(holders) = self.index.with_name(name) else { return self.leaf(test, None) };
        let mut sets = in_range(holders, &range);
        let first: Vec<_> = sets.by_ref().take(COUNTED_VALUES).collect();
        if sets.next().is_none() {
            return plan_union(test, first, holders.are_single());
        }
        drop(sets);
        let bound = holders.all.len();
        // An entry of a tree costs more to reach than an entry of a list.
        let work = holders.values.memberships() + holders.values.numbers() * 4;
        Plan { test, step: Step::Range(holders, range), bound, work, checks: 1 }
    }

    fn find(self, plan: Plan<'a>) -> Found<'a> {
        match plan.step {
            Step::Set(set) => Found { set, negated: false },
            Step::Union { sets, .. } => {
                Found { set: Set::union(sets.iter().copied()), negated: false }
            }
            Step::Range(holders, range) => {
                let sets: Vec<_> = in_range(holders, &range).collect();
                Found { set: Set::union(sets.iter().copied()), negated: false }
            }
            Step::Not(term) => self.find(*term).not(),
            Step::And(mut terms) => {
                sort(&mut terms);
                self.all_of(terms)
            }
            Step::Or(terms) => self.any_of(terms),
        }
    }

    /// Returns the slots that every term matches.
    fn all_of(self, terms: Vec<Plan<'a>>) -> Found<'a> {
        let mut found = Found { set: Cow::Owned(Set::default()), negated: true };
        for term in terms {
            if !found.negated && found.set.is_empty() {
                break;
            }
            found = match self.filtered(&found, &term) {
                Some(kept) => Found { set: Cow::Owned(kept), negated: false },
                None => found.and(self.find(term)),
            };
        }
        found
    }

    /// Returns the found slots that the term matches, by testing each peer. Returns `None` if it is
    /// cheaper to find all peers that the term matches.
    fn filtered(self, found: &Found<'_>, term: &Plan<'_>) -> Option<Set> {
        if found.negated || found.set.len() * term.checks * CHECK_COST >= term.work {
            return None;
        }
        let tags = |slot: u32| {
            let peer = self.slots.get(slot as usize)?;
            let entries = &self.peers.get(peer)?.entries;
            Some((*peer, TagsView { entries, index: self.index }))
        };
        Some(found.set.filter(|slot| {
            tags(slot).is_some_and(|(peer, tags)| match &term.test {
                Test::Expression(expression) => expression.matches(peer, tags),
                Test::Range(name, range) => tags.is_within(name, range),
            })
        }))
    }

    /// Returns the slots that at least one term matches.
    fn any_of(self, terms: Vec<Plan<'a>>) -> Found<'a> {
        let mut named = Vec::with_capacity(terms.len());
        // For "all except these, or all except those", only the peers that both parts exclude are
        // missing.
        let mut missing: Option<Found<'a>> = None;
        for found in terms.into_iter().map(|term| self.find(term)) {
            if found.negated {
                let found = found.not();
                missing = Some(match missing {
                    Some(missing) => missing.and(found),
                    None => found,
                });
            } else {
                named.push(found.set);
            }
        }
        let union = Set::union(named.iter().map(AsRef::as_ref));
        match missing {
            Some(missing) => Found { set: Cow::Owned(missing.set.without(&union)), negated: true },
            None => Found { set: Cow::Owned(union.into_owned()), negated: false },
        }
    }
}

impl<'a> Found<'a> {
    fn not(self) -> Self {
        Self { negated: !self.negated, ..self }
    }

    fn and(self, other: Self) -> Self {
        let (set, negated) = match (self.negated, other.negated) {
            (false, false) => (self.set.and(&other.set), false),
            (false, true) => (self.set.without(&other.set), false),
            (true, _) if self.set.is_empty() => return other,
            (true, false) => (other.set.without(&self.set), false),
            (true, true) => (Set::union([&*self.set, &*other.set].into_iter()).into_owned(), true),
        };
        Found { set: Cow::Owned(set), negated }
    }

    fn count_and(&self, other: &Self, all: usize) -> usize {
        let both = self.set.count_and(&other.set);
        let (one, two) = (self.set.len(), other.set.len());
        match (self.negated, other.negated) {
            (false, false) => both,
            (false, true) => one - both,
            (true, false) => two - both,
            (true, true) => all - (one + two - both),
        }
    }

    fn len(&self, all: usize) -> usize {
        if self.negated { all - self.set.len() } else { self.set.len() }
    }
}

impl Plan<'_> {
    /// Returns the cost of finding the set and of reading it once.
    fn reading(&self) -> usize {
        match &self.step {
            Step::Set(set) => set.work(),
            Step::Not(term) => term.reading(),
            _ => self.work,
        }
    }
}

/// Returns the peers of each number in the range.
fn in_range<'a>(holders: &'a Holders, range: &Range) -> impl Iterator<Item = &'a Set> {
    holders.values.in_range(range).map(|id| holders.values.peers(id))
}

fn plan_union<'a>(test: Test<'a>, sets: Vec<&'a Set>, are_disjoint: bool) -> Plan<'a> {
    let bound = sets.iter().map(|set| set.len()).sum();
    let work = sets.iter().map(|set| set.work()).sum();
    match sets.as_slice() {
        [only] => Plan { test, step: Step::Set(Cow::Borrowed(only)), bound, work: 0, checks: 1 },
        _ => Plan { test, step: Step::Union { sets, are_disjoint }, bound, work, checks: 1 },
    }
}

/// Sorts the terms of an `And` into the order in which they are applied: the smallest first, and
/// the terms that remove peers last.
fn sort(terms: &mut [Plan<'_>]) {
    terms.sort_by_key(|term| (matches!(term.step, Step::Not(_)), term.bound));
}
