//! [`Attached`]: values that an application attaches to a peer, for example its user's session.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use crate::sync::{Mutex, drop_caught};

type Value = Arc<dyn Any + Send + Sync>;

/// One value of each type. A search among a few values is as fast as a map, and a peer without
/// values uses no memory for them.
#[derive(Default)]
pub(crate) struct Attached(Mutex<Values>);

#[derive(Default)]
struct Values {
    values: Vec<(TypeId, Value)>,
    /// The connection has ended, and no value is kept any more.
    ended: bool,
}

impl Values {
    fn find(&self, of: TypeId) -> Option<usize> {
        self.values.iter().position(|(type_id, _)| *type_id == of)
    }
}

/// A value runs its owner's code when it is dropped. Each method drops values outside the lock.
impl Attached {
    /// Attaches the value under this type, and returns the value that it replaces. After the end of
    /// the connection the value is dropped.
    pub(crate) fn attach(&self, of: TypeId, value: Value) -> Option<Value> {
        let mut attached = self.0.lock();
        if attached.ended {
            drop(attached);
            return None;
        }
        match attached.find(of) {
            Some(at) => Some(std::mem::replace(&mut attached.values[at].1, value)),
            None => {
                attached.values.push((of, value));
                None
            }
        }
    }

    /// Attaches the first value without spare capacity, since many peers have no other value.
    pub(crate) fn attach_first(&self, of: TypeId, value: Value) {
        let mut attached = self.0.lock();
        attached.values.reserve_exact(1);
        attached.values.push((of, value));
    }

    /// Returns the value under this type.
    pub(crate) fn get(&self, of: TypeId) -> Option<Value> {
        let attached = self.0.lock();
        attached.find(of).map(|at| Arc::clone(&attached.values[at].1))
    }

    /// Removes the value under this type.
    pub(crate) fn detach(&self, of: TypeId) -> Option<Value> {
        let mut attached = self.0.lock();
        attached.find(of).map(|at| attached.values.swap_remove(at).1)
    }

    /// Drops all values, and each value that is attached from now on. A value that holds its own
    /// peer would otherwise keep that peer, and itself, for ever.
    pub(crate) fn end(&self) {
        let values = {
            let mut attached = self.0.lock();
            attached.ended = true;
            std::mem::take(&mut attached.values)
        };
        for (_, value) in values {
            drop_caught(value);
        }
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attached").field(&self.0.lock().values.len()).finish()
    }
}
