//! The table of connections as programs on Tokio have it: a sender for each, behind one lock.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

/// Messages that wait for the writer of one connection. Who lets more gather is disconnected.
const QUEUE: usize = 1_024;

/// The number of a connection.
pub(super) type Id = u64;

/// The connections of a server.
pub(super) struct Hub<M> {
    table: Mutex<Table<M>>,
}

struct Table<M> {
    next: Id,
    senders: HashMap<Id, mpsc::Sender<M>>,
    room: HashSet<Id>,
}

impl<M> Default for Hub<M> {
    fn default() -> Self {
        let table = Table { next: 0, senders: HashMap::new(), room: HashSet::new() };
        Self { table: Mutex::new(table) }
    }
}

impl<M: Clone> Hub<M> {
    /// Lists a connection; what is sent to it comes out of the receiver, which ends once the
    /// connection has left and nobody has its sender any more.
    pub(super) fn join(&self) -> (Id, mpsc::Sender<M>, mpsc::Receiver<M>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut table = self.table();
        let id = table.next;
        table.next += 1;
        table.senders.insert(id, sender.clone());
        (id, sender, receiver)
    }

    pub(super) fn leave(&self, id: Id) {
        let mut table = self.table();
        table.senders.remove(&id);
        table.room.remove(&id);
    }

    /// Gives a connection the tag.
    pub(super) fn enter_room(&self, id: Id) {
        self.table().room.insert(id);
    }

    /// Gives a message to all connections but the one that it came from.
    pub(super) fn publish(&self, from: Id, message: &M) {
        let table = &mut *self.table();
        table.senders.retain(|id, sender| *id == from || sender.try_send(message.clone()).is_ok());
    }

    /// Gives a message to the connections that have the tag, but not to the one that it came from.
    pub(super) fn publish_to_room(&self, from: Id, message: &M) {
        let table = &mut *self.table();
        for id in table.room.iter().filter(|id| **id != from) {
            if let Some(sender) = table.senders.get(id)
                && sender.try_send(message.clone()).is_err()
            {
                table.senders.remove(id);
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<M>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
