//! [`SocketCore`]: the task or thread on which a connection runs.

/// The task or thread on which a connection runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketCore {
    /// A task on your runtime. This is the default, and the right choice unless handlers block.
    #[default]
    Async,
    /// A separate thread for each connection, which uses your runtime. A handler that blocks its
    /// thread delays no other connection. Each peer costs the stack of a thread.
    Threading,
}
