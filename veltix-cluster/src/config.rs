//! [`ClusterConfig`]: the settings of a node.

use std::sync::Arc;
use std::time::Duration;

use veltix_core::cluster::Timing;
use veltix_core::limits::{
    CLUSTER_HEARTBEAT, CLUSTER_HEARTBEAT_LEAST, CLUSTER_MESSAGE_TTL, CLUSTER_QUEUE_BYTES,
    FAR_FUTURE,
};

use crate::error::ClusterConfigError;

/// The settings of a node in a cluster.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClusterConfig {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) heartbeat: Duration,
    pub(crate) message_ttl: Duration,
    pub(crate) queue_bytes: usize,
    pub(crate) timing: Timing,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            name: None,
            heartbeat: CLUSTER_HEARTBEAT,
            message_ttl: CLUSTER_MESSAGE_TTL,
            queue_bytes: CLUSTER_QUEUE_BYTES,
            timing: Timing::default(),
        }
    }
}

impl ClusterConfig {
    /// Sets the name of the node, for people: in logs, and in the list of nodes. It is cut to 64 bytes.
    /// A restarted node has its former name, so that the others forget its former self at once. Default:
    /// the id of the node, which is new for each start.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the time between two heartbeats. Default: 1 s.
    pub const fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = capped(every);
        self
    }

    /// Sets the time after which a message is dropped and counted, from its call on: it has waited for the
    /// broker, or the broker has kept it, or both. Default: 5 s.
    pub const fn message_ttl(mut self, ttl: Duration) -> Self {
        self.message_ttl = capped(ttl);
        self
    }

    /// Sets the silence after which a node leaves. It is at least twice the
    /// [`message_ttl`](Self::message_ttl), so that nothing of a node arrives after it has left, and at least
    /// four [heartbeats](Self::heartbeat). Default: 10 s.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.timing.lease = capped(lease);
        self
    }

    /// Limits the bytes of the records that wait for the broker, and of those that wait for the peers of this
    /// node, 16 384 records each. They count in the memory budget of the server as well. One record always
    /// fits. Default: 16 MiB each.
    pub const fn queue_bytes(mut self, limit: usize) -> Self {
        self.queue_bytes = limit;
        self
    }

    /// Checks the settings.
    pub(crate) fn check(&self) -> Result<(), ClusterConfigError> {
        if self.heartbeat < CLUSTER_HEARTBEAT_LEAST {
            return Err(ClusterConfigError::Heartbeat { least: CLUSTER_HEARTBEAT_LEAST });
        }
        let least = (2 * self.message_ttl).max(4 * self.heartbeat);
        if self.timing.lease < least {
            return Err(ClusterConfigError::Lease { lease: self.timing.lease, least });
        }
        Ok(())
    }
}

/// Returns a time that a clock can add to its present.
pub(crate) const fn capped(time: Duration) -> Duration {
    if time.as_secs() < FAR_FUTURE.as_secs() { time } else { FAR_FUTURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_do_not_fit_each_other_are_refused() {
        let check = |config: ClusterConfig| config.check();
        let seconds = Duration::from_secs;
        assert_eq!(check(ClusterConfig::default()), Ok(()));
        let short = ClusterConfig::default().lease(seconds(9));
        let error = ClusterConfigError::Lease { lease: seconds(9), least: seconds(10) };
        assert_eq!(check(short), Err(error));
        assert_eq!(
            check(ClusterConfig::default().lease(seconds(9)).message_ttl(seconds(4))),
            Ok(())
        );
        let error = ClusterConfigError::Lease { lease: seconds(10), least: seconds(12) };
        assert_eq!(check(ClusterConfig::default().heartbeat(seconds(3))), Err(error));
        let zero = ClusterConfig::default().heartbeat(Duration::ZERO);
        assert!(matches!(check(zero), Err(ClusterConfigError::Heartbeat { .. })));
        // A clock can add each time that is accepted to its present.
        let never = Duration::MAX;
        let least = 2 * FAR_FUTURE;
        let lease = FAR_FUTURE;
        let error = ClusterConfigError::Lease { lease, least };
        assert_eq!(check(ClusterConfig::default().message_ttl(never).lease(never)), Err(error));
        let least = 4 * FAR_FUTURE;
        let error = ClusterConfigError::Lease { lease, least };
        assert_eq!(check(ClusterConfig::default().heartbeat(never).lease(never)), Err(error));
        assert_eq!(check(ClusterConfig::default().lease(never)), Ok(()));
    }
}
