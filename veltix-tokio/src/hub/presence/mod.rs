//! Watches: the peers or groups that a target matches, as streams.

mod groups;
mod members;

use std::fmt;
use std::sync::Arc;
use std::task::Context;

use futures::task::AtomicWaker;
use veltix_core::{Target, TargetError, WatchId};

pub use groups::{GroupEvent, GroupWatch, GroupWatchBuilder};
pub use members::{Watch, WatchEvent};

use super::{Endpoint, Hub};
use crate::session::{Runtime, TagTable};

impl Hub {
    /// Begins a watch of the peers of this node that a target matches. [`start`](WatchBuilder::start) returns it
    /// as a stream: the current members first, and then each peer that enters or leaves.
    /// [`by`](WatchBuilder::by) groups the peers, for example by user.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use veltix::{Hub, tag};
    /// # fn f(hub: Hub) -> Result<(), veltix::TargetError> {
    /// let lobby = tag("room").is("lobby");
    /// let mut connections = hub.watch(&lobby).with_tags(["user"]).start()?;
    /// let mut users = hub.watch(&lobby).by("user").grace(Duration::from_secs(10)).start()?;
    /// # let _ = (&mut connections, &mut users);
    /// # Ok(()) }
    /// ```
    ///
    /// A change costs extra only for the watches whose target it may affect: these are found by the
    /// name and the value that change.
    pub fn watch(&self, target: impl Into<Target>) -> WatchBuilder {
        WatchBuilder { endpoint: Arc::clone(&self.0), target: target.into(), names: Vec::new() }
    }
}

/// A watch that has not started. Created by [`Hub::watch`].
#[must_use = "a watch does nothing until `start`"]
pub struct WatchBuilder {
    endpoint: Arc<Endpoint>,
    target: Target,
    names: Vec<String>,
}

impl WatchBuilder {
    /// Adds tags that each [`Member`](veltix_core::Member) carries: those of the moment at which it
    /// entered or was listed, and in [`WatchEvent::Left`] the last ones before it left. Default: no
    /// tags.
    ///
    /// A change of such a tag is no event, unless the target depends on it as well. [`Hub::get`]
    /// returns the peer with its tags of now.
    pub fn with_tags(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.names.extend(names.into_iter().map(|name| name.as_ref().to_owned()));
        self
    }

    /// Watches groups of peers in place of peers: those that have the same value of this tag. A peer
    /// with a [set](crate::Peer::join) of this name is in the group of each of its values, and a
    /// peer without the tag is in no group. A group has no tags, so those of
    /// [`with_tags`](Self::with_tags) are not used.
    pub fn by(self, name: impl Into<String>) -> GroupWatchBuilder {
        GroupWatchBuilder::new(self.endpoint, self.target, name.into())
    }

    /// Starts the watch.
    ///
    /// # Errors
    /// [`TargetError`] if the target exceeds a limit. A target written by hand never does.
    pub fn start(self) -> Result<Watch, TargetError> {
        Watch::new(self.endpoint, &self.target, &self.names)
    }
}

impl fmt::Debug for WatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchBuilder")
            .field("target", &self.target)
            .field("tags", &self.names)
            .finish_non_exhaustive()
    }
}

/// The place of a watch in the tag table. The drop ends the watch.
struct Reader {
    endpoint: Arc<Endpoint>,
    id: WatchId,
    waker: Arc<AtomicWaker>,
}

impl Reader {
    fn new(
        endpoint: Arc<Endpoint>,
        begin: impl FnOnce(&TagTable) -> Result<(WatchId, Arc<AtomicWaker>), TargetError>,
    ) -> Result<Self, TargetError> {
        let (id, waker) = begin(endpoint.services().tags())?;
        Ok(Self { endpoint, id, waker })
    }

    fn runtime(&self) -> &Runtime {
        self.endpoint.services().runtime()
    }

    fn tags(&self) -> &TagTable {
        self.endpoint.services().tags()
    }

    /// Registers the task to wake. A change after this call finds the waker.
    fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.tags().unwatch(self.id);
    }
}
