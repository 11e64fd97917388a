//! The table of connections, as programs on Tokio usually have it: a sender for each connection,
//! behind one lock.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

/// The length of the queue of one connection. A connection whose queue overflows is closed.
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
    /// Lists a connection. The receiver gives the messages to it. It ends when the connection has
    /// left and its sender is dropped.
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

    /// Gives the tag to a connection.
    pub(super) fn enter_room(&self, id: Id) {
        self.table().room.insert(id);
    }

    /// Sends a message to all connections except its sender.
    pub(super) fn publish(&self, from: Id, message: &M) {
        let table = &mut *self.table();
        table.senders.retain(|id, sender| *id == from || sender.try_send(message.clone()).is_ok());
    }

    /// Sends a message to the connections that have the tag, except its sender.
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
