//! Application code that calls back into the server from every place where it can run.

use std::sync::Arc;
use std::task::{Wake, Waker};

use bytes::Bytes;
use futures::FutureExt;
use veltix::typed::ToMessage;
use veltix::{EncodeError, Hub, Message, Peer, all, tag};

use super::numbered;
use crate::support::OTHER;

/// Calls back into the server whenever code of the application can run.
#[derive(Clone)]
pub(crate) struct Meddler {
    pub(crate) hub: Hub,
    pub(crate) peer: Peer,
}

impl Meddler {
    pub(crate) fn meddle(&self) {
        let (hub, peer) = (&self.hub, &self.peer);
        let _ = (hub.list(all()), hub.count(tag("a")), hub.get(peer.id()), hub.is_full());
        let _ = (hub.events(), format!("{hub:?} {peer:?}"), peer.stats(), peer.is_closed());
        let _ = (peer.add_tag("a"), peer.set_tag(("b", 1)), peer.tags(), peer.clear_tags());
        let _ = (hub.tag(tag("a"), "b"), hub.join(all(), "c", 1), peer.rooms("c"));
        let _ = (peer.join("d", "x"), peer.leave("d", "x"), hub.untag(tag("d"), "d"));
        let _ = hub.watch(tag("a")).start().map(|mut it| it.next().now_or_never());
        let _ = hub.watch(all()).by("b").start().map(|mut it| it.next().now_or_never());
        let _ = hub.to(tag("a")).send(&numbered(OTHER, 0));
        let _ = hub.broadcast(&numbered(OTHER, 0));
        let _ = peer.try_send(&numbered(OTHER, 0));
        let _ = peer.send(&numbered(OTHER, 0)).now_or_never();
        let _ = peer.request(&numbered(OTHER, 0)).now_or_never();
        let _ = (peer.ping().now_or_never(), peer.closed().now_or_never());
    }

    /// Returns a message whose encoding calls back into the server, and whose body does so when it
    /// is dropped.
    pub(crate) fn message(&self) -> impl ToMessage + use<> {
        struct Meddling(Meddler);
        impl ToMessage for Meddling {
            fn to_message(&self) -> Result<Message, EncodeError> {
                self.0.meddle();
                Ok(Message::new(OTHER, Bytes::from_owner(OnDrop(self.0.clone(), vec![0; 2000]))))
            }
        }
        Meddling(self.clone())
    }

    pub(crate) fn waker(&self) -> Waker {
        struct OnWake(Meddler);
        impl Wake for OnWake {
            fn wake(self: Arc<Self>) {
                self.0.meddle();
            }
        }
        Arc::new(OnWake(self.clone())).into()
    }
}

/// Calls back into the server when it is dropped.
pub(crate) struct OnDrop(pub(crate) Meddler, pub(crate) Vec<u8>);

impl AsRef<[u8]> for OnDrop {
    fn as_ref(&self) -> &[u8] {
        &self.1
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.meddle();
    }
}
