//! [`Services`]: the state that the sessions of one side share.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use veltix_core::limits::HEADER_LEN;

use super::{Holders, Runtime, TagTable};
use crate::config::{Limits, Role};
use crate::drain::{Drain, Spreads};
use crate::log::Logs;
use crate::memory::Memory;
use crate::metrics::Meters;
use crate::outbox::Drops;
use crate::workers::{HandlerThreads, Workers};

/// The limits, memory, threads and counters that all sessions of one side use. It holds no session.
pub(crate) struct Services {
    role: Role,
    runtime: Arc<Runtime>,
    limits: Limits,
    memory: Arc<Memory>,
    workers: Workers,
    handler_threads: HandlerThreads,
    /// Dropped frames of all outboxes, by type.
    drops: Arc<Drops>,
    tags: TagTable,
    holders: Holders,
    drain: Drain,
    logs: Logs,
    meters: Meters,
    /// The client of this side, which is above this room. A server has none.
    client: OnceLock<Weak<dyn Any + Send + Sync>>,
    /// The longest body that is within every limit: `max_typed_body`, `max_message_size`, and the
    /// `max_message_size` of every peer until now. One comparison with it settles most messages.
    small_body: AtomicUsize,
}

impl Services {
    pub(crate) fn new(
        role: Role,
        limits: Limits,
        memory: Arc<Memory>,
        max_workers: usize,
        spreads: Spreads,
    ) -> Arc<Self> {
        let runtime: Arc<Runtime> = Arc::default();
        let small_body = limits.max_typed_body.min(limits.max_message_size - HEADER_LEN);
        Arc::new(Self {
            role,
            runtime: Arc::clone(&runtime),
            limits,
            memory,
            workers: Workers::new(max_workers),
            handler_threads: HandlerThreads::default(),
            drops: Arc::default(),
            tags: TagTable::new(limits.tags, runtime),
            holders: Holders::default(),
            drain: Drain::new(spreads),
            logs: Logs::default(),
            meters: Meters::new(),
            client: OnceLock::new(),
            small_body: AtomicUsize::new(small_body),
        })
    }

    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
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

    pub(crate) const fn handler_threads(&self) -> &HandlerThreads {
        &self.handler_threads
    }

    pub(crate) const fn drops(&self) -> &Arc<Drops> {
        &self.drops
    }

    pub(crate) const fn tags(&self) -> &TagTable {
        &self.tags
    }

    pub(crate) const fn holders(&self) -> &Holders {
        &self.holders
    }

    pub(crate) const fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Notes the `max_message_size` of a peer. It precedes every message to the peer.
    pub(super) fn note_peer_limit(&self, limit: usize) {
        self.small_body.fetch_min(limit.saturating_sub(HEADER_LEN), Ordering::Relaxed);
    }

    /// Returns whether a body of this length is within every limit, of this side and of all peers. A
    /// longer one may still be within those that concern it.
    #[inline]
    pub(crate) fn is_small(&self, body: usize) -> bool {
        body <= self.small_body.load(Ordering::Relaxed)
    }

    pub(crate) const fn logs(&self) -> &Logs {
        &self.logs
    }

    pub(crate) const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Sets the client of this side, once.
    pub(crate) fn set_client(&self, client: Weak<dyn Any + Send + Sync>) {
        // A client sets it when it is created.
        let _ = self.client.set(client);
    }

    /// Returns the client of this side, while it exists.
    pub(crate) fn client(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.client.get()?.upgrade()
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("role", &self.role).finish_non_exhaustive()
    }
}
