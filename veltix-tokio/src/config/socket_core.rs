//! [`SocketCore`]: the thread on which the handlers of a connection run.

/// The thread on which the handlers of a connection run. Its sockets are always driven by your runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketCore {
    /// Handlers run in the connection's task on your runtime. This is the default, and the right
    /// choice unless handlers block.
    #[default]
    Async,
    /// Handlers of each peer run on a thread of that peer, one after the other. A handler may block
    /// it: the connection still reads, writes, answers pings and completes calls, so a handler may
    /// also wait for a call to its own peer. Each peer costs the stack of a thread, and each message
    /// two changes of the thread.
    ///
    /// A handler that never returns keeps its thread for ever. The drain deadline of the connection's
    /// end leaves the thread alone, and
    /// [`blocked_threads`](crate::ShutdownReport::blocked_threads) reports it after a shutdown. On a
    /// server the peer counts toward [`max_connections`](crate::ServerConfig::max_connections) until
    /// its thread has ended.
    Threading,
}
