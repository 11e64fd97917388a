//! Tests of the flush scope and of the flush list when a flush panics.

use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use veltix_core::{Frame, IdSpace, RequestId};

use tokio::time::Instant;
use veltix_core::PeerId;

use super::*;
use crate::config::{ConnectionConfig, Role};
use crate::drain::Spreads;
use crate::memory::Memory;
use crate::outbox::Queued;
use crate::outbox::{Capacity, Push};
use crate::session::{Services, Session};
use crate::sync::QueuePosition;
use crate::transport::{Link, PeerAddr, StreamWriter};

/// A stream that is full once, and then takes all bytes.
struct FullOnce(bool);

impl StreamWriter for FullOnce {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if std::mem::take(&mut self.0) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn poll_write_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The waker of a peer's task. It counts its wakes.
#[derive(Default)]
struct Owner(AtomicUsize);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A waker of an application that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("planned");
    }
}

/// Creates a session with room for one frame, which only the test drives.
fn another(stream: FullOnce) -> (Arc<Session>, Arc<Owner>) {
    let mut limits = ConnectionConfig::new(None).limits(None).expect("the defaults work");
    limits.outbox = Capacity { frames: 1, bytes: usize::MAX };
    let services = Services::new(Role::Server, limits, Memory::unlimited(), 1, Spreads::default());
    static IDS: AtomicU64 = AtomicU64::new(1);
    let session = Session::new(
        PeerId::new(IDS.fetch_add(1, Ordering::Relaxed)),
        Link::new(PeerAddr::Memory(0)),
        Arc::default(),
        &services,
        Box::new(stream),
        IdSpace::server(),
    );
    let owner = Arc::new(Owner::default());
    session.outbox().status(&Waker::from(Arc::clone(&owner)));
    (session, owner)
}

fn session() -> Arc<Session> {
    another(FullOnce(false)).0
}

fn frame() -> Frame {
    Frame::new(200, RequestId::new(1), Bytes::new())
}

/// Sends a frame to this peer, as a handler does.
fn send(peer: &Arc<Session>) {
    let Push::Queued(pushed) = peer.outbox().push(frame()) else { panic!("there is room") };
    schedule(peer, pushed);
}

/// Creates a peer whose next flush panics: the flush makes room, and the waker of the waiting
/// sender panics.
fn explosive() -> Arc<Session> {
    let (peer, _) = another(FullOnce(true));
    send(&peer);
    peer.outbox().flush();
    let (mut place, waker) = (QueuePosition::default(), Waker::from(Arc::new(Panics)));
    let pushed = peer.outbox().push_or_wait(frame(), Some((&mut place, &waker)));
    assert!(matches!(pushed, Push::Full(_)), "{pushed:?}");
    assert!(peer.outbox().poll_writable(&mut Context::from_waker(Waker::noop())).is_ready());
    peer
}

/// Creates three peers, and sends a frame to each in the current scope.
fn touch() -> Vec<(Arc<Session>, Arc<Owner>)> {
    let others: Vec<_> = (0..3).map(|_| another(FullOnce(false))).collect();
    others.iter().for_each(|(peer, _)| send(peer));
    others
}

/// Returns the number of outboxes that were not flushed and whose task was not woken.
fn forgotten(others: &[(Arc<Session>, Arc<Owner>)]) -> usize {
    let is_forgotten = |(peer, owner): &&(Arc<Session>, Arc<Owner>)| {
        peer.outbox().sent().queued > 0 && owner.0.load(Ordering::Relaxed) == 0
    };
    others.iter().filter(is_forgotten).count()
}

#[test]
fn a_panic_in_one_flush_leaves_the_other_outboxes_to_their_tasks() {
    let own = session();
    let explosive = explosive();
    let scope = FlushScope::enter(&own);
    let before = touch();
    let after = touch();
    let mut flushes = scope.leave(Instant::now());
    flushes.0.insert(3, explosive);
    assert_eq!((forgotten(&before), forgotten(&after)), (3, 3));
    assert!(catch_unwind(AssertUnwindSafe(|| flushes.flush_some())).is_err());
    drop(flushes);
    assert!(
        before.iter().all(|(peer, _)| peer.outbox().sent().written == 1),
        "they are flushed before it"
    );
    assert_eq!((forgotten(&before), forgotten(&after)), (0, 0));
}

#[test]
fn a_panic_in_the_flush_of_the_own_outbox_leaves_the_others_to_their_tasks() {
    let own = explosive();
    let scope = FlushScope::enter(&own);
    let others = touch();
    // The outbox needs a flush already, so a pushed frame would not be the first.
    schedule(&own, Queued { first: true, heavy: false, waits: false, dropped: 0 });
    assert!(catch_unwind(AssertUnwindSafe(|| scope.leave(Instant::now()))).is_err());
    assert_eq!(forgotten(&others), 0);
}

#[test]
fn a_batch_that_panics_leaves_its_outboxes_to_their_tasks() {
    let own = session();
    let scope = FlushScope::enter(&own);
    let others = touch();
    drop(scope);
    assert_eq!(forgotten(&others), 0);
}

/// A handler may drive a runtime of its own, in which another peer's task is polled.
#[test]
fn a_poll_inside_a_poll_publishes_for_itself() {
    let own = session();
    let (other, _) = another(FullOnce(false));
    let outer = FlushScope::enter(&own);
    published(10, 1);
    let inner = FlushScope::enter(&other);
    assert!(!inner.published().is_charged(), "the inner scope starts at zero");
    published(20, 2);
    assert_eq!(inner.published().waiting, 2);
    drop(inner.leave(Instant::now()));
    assert_eq!((outer.published().all, outer.published().waiting), (10, 1));
    drop(outer);
}

/// The published bytes of one handler on a pool thread do not count for the next one.
#[test]
fn each_blocking_handler_publishes_for_itself() {
    let own = session();
    for _ in 0..2 {
        let scope = ThreadScope::enter(&own);
        published(10, 1);
        let PublishedApart { published: of_it, limited } = scope.take_published();
        assert_eq!((of_it.all, of_it.waiting, limited.len()), (10, 1, 0));
    }
}

/// The bytes of a handler on a thread are charged by the next poll of its connection's task, also those
/// under the limit of its route.
#[test]
fn a_poll_takes_over_what_handlers_on_a_thread_have_published() {
    let own = session();
    let limit = PublishLimit { route: 3, bytes_per_second: 1_000 };
    let apart = {
        let scope = ThreadScope::enter(&own);
        limited(limit, || published(20, 2));
        published(10, 1);
        scope.take_published()
    };
    let scope = FlushScope::enter(&own);
    published_apart(apart);
    assert_eq!((scope.published().all, scope.published().waiting), (10, 1));
    assert!(scope.published().is_charged());
    let parts: Vec<_> = scope.take_limited().iter().map(|part| (part.limit, part.bytes)).collect();
    assert_eq!(parts, [(limit, 20)]);
    drop(scope.leave(Instant::now()));
}

#[test]
fn a_route_s_limit_is_charged_to_the_peer_whose_handler_it_was() {
    let own = session();
    let (other, _) = another(FullOnce(false));
    let limit = PublishLimit { route: 0, bytes_per_second: 1_000 };
    let outer = FlushScope::enter(&own);
    limited(limit, || published(10, 1));
    let inner = FlushScope::enter(&other);
    limited(limit, || published(20, 2));
    let taken = |scope: &FlushScope| {
        let parts = scope.take_limited();
        parts.iter().map(|part| part.bytes).collect::<Vec<_>>()
    };
    assert_eq!(taken(&inner), [20]);
    drop(inner.leave(Instant::now()));
    assert_eq!(taken(&outer), [10]);
    assert!(taken(&outer).is_empty(), "once");
    drop(outer);
}

/// A blocking handler may drive a runtime, which polls the tasks of a client. The handlers of that
/// client run within the blocking handler: what waits for it must not wait for them.
#[test]
fn a_poll_inside_a_blocking_handler_is_within_that_handler() {
    let ((server, _), (client, _)) = (another(FullOnce(false)), another(FullOnce(false)));
    let check = || is_within(server.services());
    assert!(!check());
    let scope = ThreadScope::enter(&server);
    for _ in 0..2 {
        assert!(check() && !is_within(client.services()));
        let outer = FlushScope::enter(&client);
        let inner = FlushScope::enter(&client);
        assert!(check() && is_within(client.services()));
        drop((inner, outer));
    }
    drop(scope);
    assert!(!check());
}

/// The task of the connection is woken once for all outboxes, whoever their owners are, until it comes.
#[test]
fn a_thread_hands_its_outboxes_over_to_the_task_of_its_connection() {
    let (own, task) = another(FullOnce(false));
    let handover = Handover::new(&own);
    let scope = ThreadScope::enter_with(&own, Some(Arc::clone(&handover)));
    let woken = || task.0.load(Ordering::Relaxed);
    for turn in 1..3 {
        let others = touch();
        assert_eq!((forgotten(&others), woken()), (3, turn), "nobody else is woken");
        let (mut list, shared) = handover.take();
        assert!(shared.is_none());
        list.flush_some();
        assert_eq!(forgotten(&others), 0);
    }
    drop(scope);
}

#[test]
fn a_thread_whose_task_has_ended_leaves_the_outboxes_to_their_owners() {
    let (own, task) = another(FullOnce(false));
    let handover = Handover::new(&own);
    let scope = ThreadScope::enter_with(&own, Some(Arc::clone(&handover)));
    let before = touch();
    assert!(keep_shared(Box::new(())).is_none());
    assert!(is_sharing());
    handover.close();
    let after = touch();
    assert_eq!((forgotten(&before), forgotten(&after)), (0, 0));
    assert!(!is_sharing() && keep_shared(Box::new(())).is_some());
    assert_eq!(task.0.load(Ordering::Relaxed), 1);
    drop(scope);
}

/// A broadcast may be between its two calls while the task comes: the task is woken for the state again.
#[test]
fn state_that_a_thread_keeps_is_taken_by_the_task() {
    let (own, task) = another(FullOnce(false));
    let handover = Handover::new(&own);
    let scope = ThreadScope::enter_with(&own, Some(Arc::clone(&handover)));
    assert!(keep_shared(Box::new(1_u8)).is_none());
    let state = take_shared().expect("it is kept");
    assert!(handover.take().1.is_none());
    assert!(keep_shared(state).is_none());
    assert_eq!(task.0.load(Ordering::Relaxed), 2);
    assert!(handover.take().1.is_some_and(|state| state.is::<u8>()));
    drop(scope);
}
