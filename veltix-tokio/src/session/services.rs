//! [`Services`]: the state that the sessions of one side share.

use std::fmt;
use std::sync::Arc;

use super::TagTable;
use crate::config::{Limits, Role};
use crate::drain::{Drain, Spreads};
use crate::log::Logs;
use crate::memory::Memory;
use crate::outbox::Drops;
use crate::workers::Workers;

/// The limits, memory, threads and counters that all sessions of one side use. It holds no session.
pub(crate) struct Services {
    role: Role,
    limits: Limits,
    memory: Arc<Memory>,
    workers: Workers,
    /// Dropped frames of all outboxes, by type.
    drops: Arc<Drops>,
    tags: TagTable,
    drain: Drain,
    logs: Logs,
}

impl Services {
    pub(crate) fn new(
        role: Role,
        limits: Limits,
        memory: Arc<Memory>,
        max_workers: usize,
        spreads: Spreads,
    ) -> Arc<Self> {
        Arc::new(Self {
            role,
            limits,
            memory,
            workers: Workers::new(max_workers),
            drops: Arc::default(),
            tags: TagTable::new(limits.tags),
            drain: Drain::new(spreads),
            logs: Logs::default(),
        })
    }

    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) const fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(crate) const fn workers(&self) -> &Workers {
        &self.workers
    }

    pub(crate) const fn drops(&self) -> &Arc<Drops> {
        &self.drops
    }

    pub(crate) const fn tags(&self) -> &TagTable {
        &self.tags
    }

    pub(crate) const fn drain(&self) -> &Drain {
        &self.drain
    }

    pub(crate) const fn logs(&self) -> &Logs {
        &self.logs
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("role", &self.role).finish_non_exhaustive()
    }
}
