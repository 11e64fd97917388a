//! [`Watched`]: the watches of other nodes on this one.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::{Stream, StreamExt as _};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use veltix_core::TargetError;
use veltix_core::cluster::{
    DiffContent, DiffStep, NodeId, NodeWatch, Record, WatchDiff, WatchForm,
};
use veltix_core::limits::{
    CLUSTER_ANSWER_LEN, CLUSTER_DIFF_LEN, CLUSTER_WATCH_RETRY, CLUSTER_WATCHES, WATCH_QUEUE,
};
use veltix_tokio::{GroupEvent, Hub, WatchEvent};

use super::{Item, Node};
use crate::backplane::Destination;

/// The watches, by their origin and their number there.
pub(super) struct Watched {
    running: Mutex<Running>,
    /// The time at which a node with too many watches was last told of all of them.
    checked: Mutex<BTreeMap<NodeId, Instant>>,
    /// Changes of several records are told by one watch at a time, as fast as the broker takes them: all
    /// together they would fill the queue, and the messages of this node would find no room.
    turns: Arc<Semaphore>,
}

type Running = BTreeMap<(NodeId, u64), AbortHandle>;

impl Default for Watched {
    fn default() -> Self {
        let turns = Arc::new(Semaphore::new(1));
        Self { running: Mutex::default(), checked: Mutex::default(), turns }
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self) -> MutexGuard<'_, BTreeMap<NodeId, Instant>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn end(&self, origin: NodeId, id: u64) {
        let watch = self.lock().remove(&(origin, id));
        watch.into_iter().for_each(|watch| watch.abort());
    }

    pub(super) fn abort_all(&self) {
        let watches = mem::take(&mut *self.lock());
        watches.values().for_each(AbortHandle::abort);
    }
}

impl Node {
    /// Begins a watch of another node. One with the same number ends.
    pub(super) fn serve_watch(self: &Arc<Self>, hub: &Hub, origin: NodeId, watch: NodeWatch) {
        let NodeWatch { id, epoch, target, form } = watch;
        self.watched.end(origin, id);
        let telling = Telling { node: Arc::downgrade(self), origin, id, epoch, version: 0 };
        let mut running = self.watched.lock();
        if self.members().get(origin).is_none() {
            // Nobody would notice its end. If it lives, this node hears of it, and is asked again.
            return;
        }
        let of_origin = running.range((origin, 0)..=(origin, u64::MAX)).count();
        if of_origin >= CLUSTER_WATCHES {
            let reason = format!("a node has at most {CLUSTER_WATCHES} watches on another one");
            telling.refuse(&reason);
            return self.check_watches_of(origin, &running);
        }
        let hub = hub.clone();
        let task = match form {
            WatchForm::Members(names) => {
                let start = move || hub.watch(&target).with_tags(&names).start();
                telling.begin(start, of_members)
            }
            WatchForm::Groups(by) => {
                let start = move || hub.watch(&target).by(&*by).start();
                telling.begin(start, of_groups)
            }
        };
        running.extend(task.map(|task| ((origin, id), task)));
    }

    /// Tells a node of each of its watches, with no change of an earlier begin: it answers with the end of those
    /// that it does not know. Their ends were lost, and without a change they would take the room of others for
    /// ever.
    fn check_watches_of(&self, origin: NodeId, running: &Running) {
        let now = Instant::now();
        let mut checked = self.watched.checked();
        if checked.get(&origin).is_some_and(|last| now < *last + CLUSTER_WATCH_RETRY) {
            return;
        }
        checked.insert(origin, now);
        drop(checked);
        for (_, id) in running.range((origin, 0)..=(origin, u64::MAX)).map(|(watch, _)| *watch) {
            let content = DiffContent::Members(Vec::new());
            let diff = WatchDiff { id, epoch: 0, version: 0, content };
            self.tell(Destination::Node(origin), diff.encode());
        }
    }

    /// Ends the watches of a node that this one takes for gone. If it lives, it begins them again: it hears
    /// of their end, or notices that a record is missing.
    pub(super) fn end_watches_of(&self, origin: NodeId) {
        self.watched.checked().remove(&origin);
        let mut running = self.watched.lock();
        let (ended, stay): (Running, Running) =
            mem::take(&mut *running).into_iter().partition(|((node, _), _)| *node == origin);
        *running = stay;
        drop(running);
        for ((_, id), watch) in ended {
            watch.abort();
            let (epoch, version, content) = (0, 0, DiffContent::Ended);
            let diff = WatchDiff { id, epoch, version, content };
            self.tell(Destination::Node(origin), diff.encode());
        }
    }
}

/// Tells the watching node the changes.
struct Telling {
    node: Weak<Node>,
    origin: NodeId,
    id: u64,
    epoch: u32,
    version: u64,
}

impl Telling {
    /// Starts the watch, and the task that tells its changes.
    fn begin<W>(
        self,
        start: impl Fn() -> Result<W, TargetError> + Send + 'static,
        contents: fn(Vec<W::Item>) -> Vec<DiffContent>,
    ) -> Option<AbortHandle>
    where
        W: Stream<Item: Send> + Unpin + Send + 'static,
    {
        match start() {
            Ok(watch) => Some(tokio::spawn(self.run(watch, start, contents)).abort_handle()),
            Err(error) => {
                self.refuse(&error.to_string());
                None
            }
        }
    }

    async fn run<W: Stream + Unpin>(
        mut self,
        watch: W,
        start: impl Fn() -> Result<W, TargetError>,
        contents: fn(Vec<W::Item>) -> Vec<DiffContent>,
    ) {
        let mut turn = None;
        let mut chunks = watch.ready_chunks(WATCH_QUEUE);
        while let Some(events) = chunks.next().await {
            let contents = contents(events);
            if contents.len() > 1 && turn.is_none() {
                let Some(node) = self.node.upgrade() else { return };
                let turns = Arc::clone(&node.watched.turns);
                drop(node);
                turn = Arc::clone(&turns).try_acquire_owned().ok();
                if turn.is_none() {
                    // The list is not kept meanwhile: another watch begins with that of its moment.
                    drop((contents, chunks));
                    turn = turns.acquire_owned().await.ok();
                    match start() {
                        Ok(watch) => chunks = watch.ready_chunks(WATCH_QUEUE),
                        Err(error) => return self.refuse(&error.to_string()),
                    }
                    continue;
                }
            }
            for content in contents {
                if turn.is_some() {
                    let Some(node) = self.node.upgrade() else { return };
                    // Under lasting load a record is told all the same, before the other node asks again.
                    let _ = timeout(CLUSTER_WATCH_RETRY / 2, node.outbound.room()).await;
                }
                if !self.tell(content) {
                    return;
                }
            }
            turn = None;
        }
    }

    /// Tells changes, and returns whether the node still runs. Changes that find no room in the queue are
    /// missing: the watching node notices it by their numbers, and asks again.
    fn tell(&mut self, content: DiffContent) -> bool {
        let Some(node) = self.node.upgrade() else { return false };
        self.version += 1;
        let Self { id, epoch, version, .. } = *self;
        let diff = WatchDiff { id, epoch, version, content };
        node.tell(Destination::Node(self.origin), record(diff));
        true
    }

    fn refuse(mut self, reason: &str) {
        self.tell(DiffContent::Refused(reason.into()));
    }
}

/// Returns the record of changes. If no node would read it, it tells the reason.
pub(super) fn record(mut diff: WatchDiff) -> Record {
    let record = diff.encode();
    if record.body.len() <= CLUSTER_ANSWER_LEN {
        return record;
    }
    let reason = format!("a peer has tags of more than {CLUSTER_ANSWER_LEN} bytes");
    diff.content = DiffContent::Refused(reason.into());
    diff.encode()
}

fn of_members(events: Vec<WatchEvent>) -> Vec<DiffContent> {
    let step = |event| match event {
        WatchEvent::Reset(members) => Some(DiffStep::Reset(members)),
        WatchEvent::Entered(member) => Some(DiffStep::Entered(member)),
        WatchEvent::Left(member) => Some(DiffStep::Left(member)),
        _ => None,
    };
    parts(events.into_iter().filter_map(step)).into_iter().map(DiffContent::Members).collect()
}

fn of_groups(events: Vec<GroupEvent>) -> Vec<DiffContent> {
    let step = |event| match event {
        GroupEvent::Reset(groups) => Some(DiffStep::Reset(groups)),
        GroupEvent::Joined(group) => Some(DiffStep::Entered(group)),
        GroupEvent::Left(group) => Some(DiffStep::Left(group)),
        _ => None,
    };
    parts(events.into_iter().filter_map(step)).into_iter().map(DiffContent::Groups).collect()
}

/// Returns the steps in parts for one record each. A long list is a part for each of its pieces.
fn parts<I: Item>(steps: impl IntoIterator<Item = DiffStep<I>>) -> Vec<Vec<DiffStep<I>>> {
    let (mut parts, mut room) = (Vec::new(), 0);
    for step in steps {
        let size = match &step {
            DiffStep::Entered(item) | DiffStep::Left(item) => item.size(),
            DiffStep::Reset(items) => items.iter().map(Item::size).sum(),
            // A local watch has no others.
            DiffStep::Begin(_) | DiffStep::More(_) | DiffStep::End(_) => 0,
        };
        match step {
            DiffStep::Reset(items) if size > CLUSTER_DIFF_LEN => {
                parts.extend(pieces(items).into_iter().map(|piece| vec![piece]));
                room = 0;
            }
            step => {
                if room < size || parts.is_empty() {
                    parts.push(Vec::new());
                    room = CLUSTER_DIFF_LEN;
                }
                room = room.saturating_sub(size);
                if let Some(part) = parts.last_mut() {
                    part.push(step);
                }
            }
        }
    }
    parts
}

/// Returns the pieces of a long list.
fn pieces<I: Item>(items: Vec<I>) -> Vec<DiffStep<I>> {
    let (mut pieces, mut room) = (Vec::new(), 0);
    for item in items {
        let size = item.size();
        if room < size || pieces.is_empty() {
            pieces.push(Vec::new());
            room = CLUSTER_DIFF_LEN;
        }
        room = room.saturating_sub(size);
        if let Some(piece) = pieces.last_mut() {
            piece.push(item);
        }
    }
    let last = pieces.len().saturating_sub(1);
    let step = |(at, piece)| match at {
        0 if last == 0 => DiffStep::Reset(piece),
        0 => DiffStep::Begin(piece),
        _ if at == last => DiffStep::End(piece),
        _ => DiffStep::More(piece),
    };
    pieces.into_iter().enumerate().map(step).collect()
}
