//! [`SocketCore`].

/// What drives a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketCore {
    /// A task on your runtime: the default, and right unless handlers block.
    #[default]
    Async,
    /// A thread of its own for each connection, that drives it on your runtime: a handler that
    /// blocks its thread delays no other connection. It costs a thread's stack for each peer.
    Threading,
}
