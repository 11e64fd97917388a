//! The errors of engines.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use veltix_core::TargetError;
use veltix_core::cluster::{NodeId, WireError};
#[cfg(feature = "nats")]
use veltix_core::text::printable;

/// The reason why the settings of a node cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClusterConfigError {
    /// The heartbeat is too short.
    #[error("the time between two heartbeats is at least {least:?}: each goes to all other nodes")]
    Heartbeat {
        /// The shortest time.
        least: Duration,
    },
    /// The lease is too short for the other settings.
    #[error(
        "the lease of {lease:?} is shorter than {least:?}: it is at least twice the time to live of messages, and four heartbeats"
    )]
    Lease {
        /// The lease.
        lease: Duration,
        /// The shortest lease.
        least: Duration,
    },
}

/// The reason why an engine could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine runs already.
    #[error("the engine runs already: each server needs an engine of its own")]
    Running,
    /// The broker is away.
    #[error("the broker cannot be reached: {0}")]
    Offline(Box<dyn std::error::Error + Send + Sync>),
}

/// The reason why a batch was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The broker is away.
    #[error("the broker is away")]
    Offline,
    /// The batch is larger than the engine takes.
    #[error("the batch of {size} bytes is over the engine's limit of {limit}")]
    TooLarge {
        /// The size of the batch.
        size: usize,
        /// The engine's limit.
        limit: usize,
    },
}

/// The reason why the one node that was asked has not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The node has ended, was never there, or is not connected to the broker, for example just after a restart
    /// of the broker.
    #[error(
        "the node {node} has ended, or is not connected to the broker: ask again, or find its peers on other nodes"
    )]
    Gone {
        /// The node.
        node: NodeId,
    },
    /// The node did not answer in time. It may have done the change that it was asked for.
    #[error("the node {node} did not answer in time, and may have done the change: ask again")]
    TimedOut {
        /// The node.
        node: NodeId,
    },
    /// The broker is away, or the queue of this node is full.
    #[error("the node {node} cannot be asked: the broker is away, or the queue is full")]
    Offline {
        /// The node.
        node: NodeId,
    },
    /// The node has a release that does not know the question.
    #[error("the node {node} has a release that does not know the question: update it")]
    Unsupported {
        /// The node.
        node: NodeId,
    },
    /// The node refuses.
    #[error("the node {node} refuses: {reason}")]
    Refused {
        /// The node.
        node: NodeId,
        /// The reason.
        reason: Arc<str>,
    },
}

/// The reason why the connection to a NATS server was not made.
#[cfg(feature = "nats")]
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name of the cluster cannot be a part of a subject.
    #[error("the name of a cluster has 1 to {limit} characters of a to z, 0 to 9, `_` and `-`")]
    Name {
        /// The limit in characters.
        limit: usize,
    },
    /// The URL cannot be read.
    #[error(
        "the URL of the NATS server cannot be read: it is for example nats://10.0.0.5:4222, or tls://nats.example.org:4222"
    )]
    Url,
    /// The server is on another machine, and the connection would not be encrypted.
    #[error(
        "the NATS server is on another machine, and everybody on the path could read and change all messages: use tls://, or call `NatsConfig::allow_plaintext` if the network is yours alone"
    )]
    Plaintext,
    /// The server refuses the login, or there is none.
    #[error(
        "the NATS server refuses the login: check the user and the password, the token or the key"
    )]
    Refused,
    /// The credentials cannot be read.
    #[error("the credentials for the NATS server cannot be read: {0}")]
    Credentials(Box<dyn std::error::Error + Send + Sync>),
    /// The login has not the permissions of a node.
    #[error(
        "the NATS server denies a permission: allow the login to publish and to subscribe {subject} ({reason})"
    )]
    Permission {
        /// The subject that the login has to publish and to subscribe.
        subject: String,
        /// The server's text, made printable.
        reason: Arc<str>,
    },
    /// The server does not answer at the subscriptions of a node.
    #[error(
        "the NATS server does not confirm the subscriptions: it has to be version 2.2 or newer"
    )]
    Unconfirmed,
    /// The server demands TLS, and the URL does not.
    #[error("the NATS server demands TLS: write tls:// in its URL")]
    TlsRequired,
    /// The certificates cannot be used: those of the settings, or the system's.
    #[error("the certificates for the NATS server cannot be used: {0}")]
    Certificates(Box<dyn std::error::Error + Send + Sync>),
    /// TLS has failed: the server has none, or its certificate is not accepted, or that of the node.
    #[error(
        "the TLS connection to the NATS server fails: {0}; check that the server has TLS, and the certificates"
    )]
    Tls(Box<dyn std::error::Error + Send + Sync>),
    /// The server did not answer in time.
    #[error("the NATS server did not answer in time: check that it runs, and its URL")]
    TimedOut,
    /// The server cannot be reached.
    #[error(
        "the NATS server cannot be reached: {}; check that it runs, and its URL",
        printable(&.0.to_string())
    )]
    Unreachable(Box<dyn std::error::Error + Send + Sync>),
}

/// Serves a `main` that returns the error of the `veltix` crate.
impl From<ClusterConfigError> for veltix_tokio::Error {
    fn from(error: ClusterConfigError) -> Self {
        Self::Cluster(Box::new(error))
    }
}

/// Serves a `main` that returns the error of the `veltix` crate.
#[cfg(feature = "nats")]
impl From<ConnectError> for veltix_tokio::Error {
    fn from(error: ConnectError) -> Self {
        Self::Cluster(Box::new(error))
    }
}

/// Converts an error of a target that was encoded.
pub(crate) const fn too_long(error: WireError) -> TargetError {
    match error {
        WireError::TooLong { what, length, limit } => TargetError::TooLong { what, length, limit },
        WireError::Target(error) => error,
        _ => TargetError::TooLong { what: "target", length: 0, limit: 0 },
    }
}
