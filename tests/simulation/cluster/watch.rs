//! Watches of the peers of all nodes: nothing enters or leaves twice, and without faults each watch has the
//! peers that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::timeout;
use veltix::TagValue;
use veltix::presence::GroupEvent;
use veltix_cluster::{Cluster, Missing, NodeId, PeerRef, WatchEvent};

use super::super::record::Record;
use super::aim::Aim;
use super::app::App;

/// The time between two looks at the missing nodes of a watch.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The watches of all nodes. A clone is a handle of the same ones.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    last: u64,
    open: BTreeMap<u64, Open>,
}

/// A watch, until its stream has ended.
struct Open {
    node: NodeId,
    aim: Aim,
    seen: Seen,
    missing: Vec<NodeId>,
    reader: Option<AbortHandle>,
}

/// The state of a reader that has applied all events.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Peers(BTreeSet<PeerRef>),
    Rooms(BTreeSet<TagValue>),
}

impl Watches {
    fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.lock().expect("nobody panics with it"))
    }

    fn open(&self, node: NodeId, aim: Aim) -> u64 {
        self.with(|state| {
            state.last += 1;
            let (seen, missing, reader) = (Seen::Nothing, Vec::new(), None);
            state.open.insert(state.last, Open { node, aim, seen, missing, reader });
            state.last
        })
    }

    fn saw(&self, watch: u64, seen: Seen, missing: Vec<NodeId>) {
        self.with(|state| {
            if let Some(open) = state.open.get_mut(&watch) {
                (open.seen, open.missing) = (seen, missing);
            }
        });
    }

    fn ends(&self, watch: u64) {
        self.with(|state| drop(state.open.remove(&watch)));
    }

    /// Drops a watch before its node ends, if there is one.
    pub(super) fn drop_one(&self, record: &Record, node: NodeId) {
        let dropped = self.with(|state| {
            let found = state.open.iter().find(|(_, open)| open.node == node).map(|(at, _)| *at);
            found.and_then(|watch| Some((watch, state.open.remove(&watch)?)))
        });
        if let Some((watch, Open { reader, .. })) = dropped {
            record.note(format_args!("{node} drops the watch {watch}"));
            reader.iter().for_each(AbortHandle::abort);
        }
    }
}

/// Starts a watch of peers, or of rooms.
pub(super) fn start(app: &App, node: NodeId, cluster: &Cluster, aim: Aim, of_rooms: bool) {
    let (record, watches) = (app.record.clone(), app.watches.clone());
    let watch = watches.open(node, aim);
    record.note(format_args!("{node} watches {aim:?} as {watch}, of rooms: {of_rooms}"));
    let (building, reader) = (cluster.watch(aim.target()), Reader { record, watches, node, watch });
    let task = if of_rooms {
        let mut rooms = building.by("room").start().expect("it is within the limits");
        tokio::spawn(async move {
            let mut seen = None;
            while let Some(event) = reader.next(rooms.next()).await {
                reader.apply(&mut seen, event.and_then(step_of_rooms));
                reader.shows(Seen::Rooms(seen.clone().unwrap_or_default()), rooms.missing());
            }
        })
    } else {
        let mut peers = building.with_tags(["room"]).start().expect("it is within the limits");
        tokio::spawn(async move {
            let mut seen = None;
            while let Some(event) = reader.next(peers.next()).await {
                reader.apply(&mut seen, event.and_then(step_of_peers));
                reader.shows(Seen::Peers(seen.clone().unwrap_or_default()), peers.missing());
            }
        })
    };
    let reader = Some(task.abort_handle());
    app.watches.with(|state| state.open.get_mut(&watch).map(|open| open.reader = reader));
}

/// A change of what a reader has.
enum Step<T> {
    All(Vec<T>),
    Enters(T),
    Leaves(T),
}

fn step_of_rooms(event: GroupEvent) -> Option<Step<TagValue>> {
    Some(match event {
        GroupEvent::Reset(all) => Step::All(all.into_iter().map(|group| group.key).collect()),
        GroupEvent::Joined(group) => Step::Enters(group.key),
        GroupEvent::Left(group) => Step::Leaves(group.key),
        _ => return None,
    })
}

fn step_of_peers(event: WatchEvent) -> Option<Step<PeerRef>> {
    Some(match event {
        WatchEvent::Reset(all) => Step::All(all.into_iter().map(|member| member.peer).collect()),
        WatchEvent::Entered(member) => Step::Enters(member.peer),
        WatchEvent::Left(member) => Step::Leaves(member.peer),
        _ => return None,
    })
}

/// The reader of a watch, which checks each event. It has `None` before the first one.
struct Reader {
    record: Record,
    watches: Watches,
    node: NodeId,
    watch: u64,
}

impl Reader {
    /// Returns the next event, or nothing after a while: the missing nodes change without an event. Returns
    /// `None` behind the last event.
    async fn next<E: Debug>(&self, next: impl Future<Output = Option<E>>) -> Option<Option<E>> {
        match timeout(LOOK_EVERY, next).await {
            Ok(Some(event)) => {
                self.record.note(format_args!("{} in {}: {event:?}", self.node, self.watch));
                Some(Some(event))
            }
            Ok(None) => {
                self.watches.ends(self.watch);
                None
            }
            Err(_) => Some(None),
        }
    }

    fn shows(&self, seen: Seen, missing: Vec<(NodeId, Missing)>) {
        self.watches.saw(self.watch, seen, missing.into_iter().map(|(node, _)| node).collect());
    }

    fn wrong(&self, what: &dyn Debug, why: &str) {
        let Self { record, node, watch, .. } = self;
        record.wrong(format_args!("{node} in the watch {watch}: {what:?} {why}"));
    }

    fn apply<T: Ord + Debug + Clone>(&self, seen: &mut Option<BTreeSet<T>>, step: Option<Step<T>>) {
        match step {
            None => {}
            Some(Step::All(all)) => {
                // No reader of the simulation is too slow.
                if seen.is_some() {
                    self.wrong(&seen, "are told again as a whole");
                }
                let items: BTreeSet<_> = all.iter().cloned().collect();
                if items.len() < all.len() {
                    self.wrong(&all, "has an item twice");
                }
                *seen = Some(items);
            }
            Some(Step::Enters(item)) => {
                let is_new = seen.as_mut().is_some_and(|seen| seen.insert(item.clone()));
                if !is_new {
                    self.wrong(&item, "enters twice, or before the first list");
                }
            }
            Some(Step::Leaves(item)) => {
                let was_there = seen.as_mut().is_some_and(|seen| seen.remove(&item));
                if !was_there {
                    self.wrong(&item, "leaves twice, or before the first list");
                }
            }
        }
    }
}

/// Checks that each watch has what is there, once nothing changes any more.
pub(super) fn check(app: &App) {
    let record = &app.record;
    let seats: Vec<_> = {
        let state = app.ledger.lock();
        let open = state.seats.values().filter(|seat| seat.left.is_none());
        open.filter_map(|seat| Some((seat.name?, seat.rooms.last()?.1.clone()))).collect()
    };
    app.watches.with(|state| {
        for (watch, Open { node, aim, seen, missing, .. }) in &state.open {
            let meant = seats.iter().filter(|(peer, rooms)| aim.means(*peer, rooms));
            let expected = match seen {
                Seen::Rooms(_) => {
                    let rooms = meant.flat_map(|(_, rooms)| rooms);
                    Seen::Rooms(rooms.map(|room| TagValue::from(*room)).collect())
                }
                _ => Seen::Peers(meant.map(|(peer, _)| *peer).collect()),
            };
            if *seen != expected || !missing.is_empty() {
                record.wrong(format_args!(
                    "{node} has in the watch {watch} of {aim:?} {seen:?} without {missing:?}, and there is \
                     {expected:?}"
                ));
            }
        }
        record.note(format_args!("{} watches are checked", state.open.len()));
    });
}
