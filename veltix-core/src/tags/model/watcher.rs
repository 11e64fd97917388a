//! Watches as their readers see them. Members and groups are checked by the same rules.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::tree::Tree;
use super::{Held, Peers};
use crate::tags::*;

/// A member or a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Peer(PeerId),
    Group(TagValue),
}

/// The tags that a watch of members asks for. Groups have none.
type Asked = Vec<(String, TagValue)>;

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Members(Vec<&'static str>),
    Groups(&'static str, Duration),
}

/// A step of a watch of either kind.
#[derive(Debug)]
enum Report {
    Reset(Vec<(Subject, Asked)>),
    Came(Subject, Asked),
    Went(Subject, Asked),
    Idle(Option<Instant>),
}

/// A watch with all that it has to report.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) id: WatchId,
    target: Tree,
    kind: Kind,
    /// Holds the subjects that the reader knows.
    reported: BTreeSet<Subject>,
    /// Lists the reports that are due, in order for each subject: those that come are true.
    due: BTreeMap<Subject, VecDeque<(bool, Asked)>>,
    /// Holds the subjects that there are.
    present: BTreeMap<Subject, Asked>,
    /// Holds the subjects that are in their grace, with its end.
    leaving: BTreeMap<Subject, Instant>,
    /// Is true if the watch has to be asked: it is new, or was woken since it was last idle.
    pub(super) awake: bool,
    deadline: Option<Instant>,
}

impl Watcher {
    pub(super) fn new(
        store: &mut TagStore,
        peers: &Peers,
        target: Tree,
        kind: Kind,
        now: Instant,
    ) -> Self {
        let id = match &kind {
            Kind::Members(names) => store.watch(&target.target(), names),
            Kind::Groups(by, grace) => store.watch_groups(&target.target(), by, *grace, now),
        };
        let id = id.expect("the target is valid");
        let mut watcher = Self {
            id,
            target,
            kind,
            reported: BTreeSet::new(),
            due: BTreeMap::new(),
            present: BTreeMap::new(),
            leaving: BTreeMap::new(),
            awake: true,
            deadline: None,
        };
        watcher.present = watcher.subjects(peers);
        watcher
    }

    /// Returns what there is to report now.
    fn subjects(&self, peers: &Peers) -> BTreeMap<Subject, Asked> {
        let admitted = peers.iter().filter(|(_, (admitted, _))| *admitted);
        let members = admitted.filter(|(peer, (_, tags))| self.target.means(**peer, tags));
        match &self.kind {
            Kind::Members(names) => {
                let names: BTreeSet<_> = names.iter().copied().collect();
                let asked = |tags: &super::Tags| {
                    let held = names.iter().filter_map(|name| Some((*name, tags.get(name)?)));
                    held.flat_map(|(name, held)| {
                        held.values().map(|value| (name.to_owned(), value.clone()))
                    })
                    .collect()
                };
                members.map(|(peer, (_, tags))| (Subject::Peer(*peer), asked(tags))).collect()
            }
            Kind::Groups(by, _) => {
                let held = members.filter_map(|(_, (_, tags))| tags.get(by));
                let keys = held.flat_map(Held::values).cloned();
                keys.map(|key| (Subject::Group(key), Vec::new())).collect()
            }
        }
    }

    /// Notes what has changed.
    pub(super) fn observe(&mut self, peers: &Peers, now: Instant) {
        self.expire(now);
        let before = std::mem::take(&mut self.present);
        self.present = self.subjects(peers);
        let grace = match self.kind {
            Kind::Groups(_, grace) if !grace.is_zero() => Some(grace),
            _ => None,
        };
        for (subject, asked) in &before {
            if self.present.contains_key(subject) {
                continue;
            }
            match grace {
                Some(grace) => _ = self.leaving.insert(subject.clone(), now + grace),
                None => {
                    let due = self.due.entry(subject.clone()).or_default();
                    due.push_back((false, asked.clone()));
                }
            }
        }
        for (subject, asked) in &self.present {
            if !before.contains_key(subject) && self.leaving.remove(subject).is_none() {
                self.due.entry(subject.clone()).or_default().push_back((true, asked.clone()));
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let over: Vec<_> = self
            .leaving
            .iter()
            .filter(|(_, deadline)| **deadline <= now)
            .map(|(subject, _)| subject.clone())
            .collect();
        for subject in over {
            self.leaving.remove(&subject);
            self.due.entry(subject).or_default().push_back((false, Vec::new()));
        }
    }

    /// Reads this number of steps, each of which has to be due.
    pub(super) fn follow(&mut self, store: &mut TagStore, now: Instant, many: usize) {
        for _ in 0..many {
            self.expire(now);
            let report = self.next(store, now);
            let may_report = self.awake || self.deadline.is_some_and(|deadline| deadline <= now);
            assert!(may_report || matches!(report, Report::Idle(_)), "not woken for {report:?}");
            match report {
                Report::Reset(found) => {
                    self.due.clear();
                    self.reported = found.iter().map(|(subject, _)| subject.clone()).collect();
                    assert_eq!(self.reported.len(), found.len(), "{found:?}");
                    for (subject, asked) in found {
                        let expected = self.present.get(&subject).cloned().unwrap_or_default();
                        assert_eq!(asked, expected, "{subject:?}");
                    }
                    self.check();
                }
                Report::Came(subject, asked) => {
                    self.take_due(&subject, true, asked);
                    assert!(self.reported.insert(subject), "it was reported");
                }
                Report::Went(subject, asked) => {
                    self.take_due(&subject, false, asked);
                    assert!(self.reported.remove(&subject), "it was not reported");
                }
                Report::Idle(deadline) => {
                    self.check();
                    assert!(self.due.values().all(VecDeque::is_empty), "missed {:?}", self.due);
                    assert_eq!(deadline, self.leaving.values().min().copied());
                    (self.awake, self.deadline) = (false, deadline);
                    return;
                }
            }
        }
    }

    fn take_due(&mut self, subject: &Subject, comes: bool, asked: Asked) {
        let due = self.due.get_mut(subject).and_then(VecDeque::pop_front);
        assert_eq!(due, Some((comes, asked)), "{subject:?} of {self:?}");
    }

    /// Checks that the reader knows exactly what there is.
    fn check(&self) {
        let there: BTreeSet<_> = self.present.keys().chain(self.leaving.keys()).cloned().collect();
        assert_eq!(self.reported, there, "{self:?}");
    }

    fn next(&self, store: &mut TagStore, now: Instant) -> Report {
        let member = |Member { peer, tags }| {
            let asked = tags.iter().map(|tag: &Tag| (tag.name().to_owned(), tag.value().clone()));
            (Subject::Peer(peer), asked.collect::<Asked>())
        };
        let group = |Group { key }| (Subject::Group(key), Vec::new());
        match self.kind {
            Kind::Members(_) => match store.next_change(self.id) {
                WatchStep::Reset(members) => {
                    Report::Reset(members.into_iter().map(member).collect())
                }
                WatchStep::Entered(entered) => {
                    let (subject, asked) = member(entered);
                    Report::Came(subject, asked)
                }
                WatchStep::Left(left) => {
                    let (subject, asked) = member(left);
                    Report::Went(subject, asked)
                }
                WatchStep::Idle => Report::Idle(None),
                WatchStep::Ended => panic!("the watch has not ended"),
            },
            Kind::Groups(..) => match store.next_group(self.id, now) {
                GroupStep::Reset(groups) => Report::Reset(groups.into_iter().map(group).collect()),
                GroupStep::Joined(joined) => Report::Came(group(joined).0, Vec::new()),
                GroupStep::Left(left) => Report::Went(group(left).0, Vec::new()),
                GroupStep::Idle(deadline) => Report::Idle(deadline),
                GroupStep::Ended => panic!("the watch has not ended"),
            },
        }
    }
}
