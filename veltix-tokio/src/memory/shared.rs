//! A body that many queues share and that is counted once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use veltix_core::Frame;
use veltix_core::limits::{DETACH_BELOW, SHARED_BODY, SHARED_BY};

use super::Memory;

/// A body that lives while any queue holds it. A drop releases its counted bytes.
struct Shared {
    body: Bytes,
    memory: Arc<Memory>,
}

/// Counts the frame's body once, if the number of peers is large enough for this to matter.
#[inline]
pub(crate) fn share(frame: &mut Frame, peers: usize, memory: &Arc<Memory>) {
    if peers >= SHARED_BY && frame.body().len() >= SHARED_BODY && memory.is_limited() {
        count_once(frame, memory);
    }
}

fn count_once(frame: &mut Frame, memory: &Arc<Memory>) {
    let length = frame.body().len();
    // A small part of a read buffer would keep the whole buffer, although only the part is counted.
    frame.detach_below(DETACH_BELOW);
    frame.share(|body| {
        memory.held.fetch_add(length, Ordering::Relaxed);
        Bytes::from_owner(Shared { body, memory: Arc::clone(memory) })
    });
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.body.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use veltix_core::{IdSpace, PING};

    use super::*;

    fn frame(length: usize) -> Frame {
        Frame::new(PING.code(), IdSpace::server().plain(), Bytes::from(vec![7; length]))
    }

    #[test]
    fn what_many_share_is_counted_once_until_the_last_is_gone() {
        let memory = Memory::new(1 << 20);
        let held = || memory.held.load(Ordering::Relaxed);
        let (mut one, mut small, mut for_few) = (frame(10_000), frame(1_000), frame(10_000));
        let all = one.body().clone();
        share(&mut one, 100, &memory);
        share(&mut small, 100, &memory);
        share(&mut for_few, SHARED_BY - 1, &memory);
        assert_eq!((one.shared_len(), small.shared_len(), for_few.shared_len()), (10_000, 0, 0));
        assert_eq!((one.body(), held()), (&all, 10_000));
        let other = one.clone().with_id(IdSpace::client().plain());
        drop(one);
        assert_eq!((other.shared_len(), held()), (10_000, 10_000));
        drop(other);
        assert_eq!(held(), 0);
    }
}
