//! [`Role`]: server or client.

/// The role of a side in its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}
