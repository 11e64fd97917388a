//! [`ThreadHandlers`]: the loop of a thread of handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::sync::oneshot;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument as _, Span};
use veltix_core::{Message, RequestId};

use super::shared::{Job, Next, Shared};
use crate::flush::{Handover, ThreadScope};
use crate::handlers::Origin;
use crate::handlers::concurrent::Concurrent;
use crate::peer::Peer;
use crate::router::{self, Outcome, PooledFuture, RouteId, Routes, Started, poll_caught};
use crate::sync::drop_caught;

/// The calls of the thread. The rules are those of the connection's own handlers: in order and one at a
/// time, except those of concurrent routes.
pub(super) struct ThreadHandlers<'a> {
    shared: &'a Shared,
    peer: Peer,
    routes: Arc<Routes>,
    scope: ThreadScope,
    serial: Option<(Caller, PooledFuture)>,
    concurrent: Concurrent,
    /// The cancellation that the calls have survived.
    round: u32,
}

/// The receiver of an outcome.
enum Caller {
    Task(Origin),
    Disconnect(oneshot::Sender<Outcome>),
}

/// The waker of the thread.
struct Unpark {
    thread: Thread,
    /// True if a call was woken since the last turn began. A handler that parks the thread itself, as
    /// `block_on` and a channel of the standard library do, takes the token of an `unpark` away.
    woken: AtomicBool,
}

impl Unpark {
    /// Parks the thread until a call is woken, or until the queues between it and the task have changed: for
    /// these each turn looks before it ends.
    fn park(&self) {
        if !self.woken.swap(false, Ordering::Acquire) {
            thread::park();
            // The turn that follows polls every call that was woken by now.
            self.woken.swap(false, Ordering::Acquire);
        }
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl<'a> ThreadHandlers<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        handover: Arc<Handover>,
        peer: Peer,
        routes: Arc<Routes>,
    ) -> Self {
        let scope = ThreadScope::enter_with(peer.session(), Some(handover));
        let round = shared.follow();
        Self { shared, peer, routes, scope, serial: None, concurrent: Concurrent::default(), round }
    }

    /// Runs handlers until the connection has closed. This is no runtime, so a handler may drive one.
    pub(super) fn run(mut self) {
        let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&unpark));
        let cx = &mut Context::from_waker(&waker);
        while self.turn(cx).is_pending() {
            unpark.park();
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.follow_cancellation();
        if let Some((_, future)) = &mut self.serial
            && let Poll::Ready(outcome) = poll_caught(future, cx)
            && let Some((caller, _)) = self.serial.take()
        {
            self.complete(caller, outcome);
        }
        while let Poll::Ready((origin, outcome, _)) = self.concurrent.poll_ended(cx) {
            self.complete(Caller::Task(origin), outcome);
        }
        loop {
            let is_free = self.serial.is_none();
            let may_start = |route: Option<_>| is_free && route.is_none_or(|it| self.has_turn(it));
            match self.shared.next(self.round, may_start) {
                Next::Job(job) => self.start(cx, job),
                Next::Cancelled => self.follow_cancellation(),
                Next::Closed if is_free && self.concurrent.is_empty() => return Poll::Ready(()),
                Next::Wait | Next::Closed => {
                    self.report_published();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Drops the calls that the task has cancelled.
    fn follow_cancellation(&mut self) {
        let round = self.shared.follow();
        if round != self.round {
            self.round = round;
            drop_caught(self.serial.take());
            self.concurrent.cancel();
        }
    }

    fn has_turn(&self, route: RouteId) -> bool {
        self.concurrent.has_turn(route, &self.routes, self.peer.session().services())
    }

    fn start(&mut self, cx: &mut Context<'_>, job: Job) {
        let context = |code, id| router::Context::new(&self.peer, self.routes.hub(), code, id);
        let id = RequestId::default();
        let (caller, started) = match job {
            Job::Connect => {
                let handler = self.routes.on_connect();
                let started = handler.map(|handler| handler.start(&context(0, id), (), None));
                (Caller::Task(Origin::Connect), started)
            }
            Job::Disconnect { outcome, done } => {
                let handler = self.routes.on_disconnect();
                let started = handler.map(|handler| handler.start(&context(0, id), *outcome, None));
                (Caller::Disconnect(done), started)
            }
            Job::Message { route, message } => return self.handle(cx, route, message),
        };
        match started {
            None => self.complete(caller, Outcome::Silent),
            Some(Started::Done(outcome)) => self.complete(caller, outcome),
            Some(Started::Running(mut future)) => match poll_caught(&mut future, cx) {
                Poll::Ready(outcome) => self.complete(caller, outcome),
                Poll::Pending => self.serial = Some((caller, future)),
            },
        }
    }

    fn handle(&mut self, cx: &mut Context<'_>, route: RouteId, mut message: Message) {
        let (code, id, charge) = (message.code(), message.id(), message.body().len());
        let span = if LevelFilter::current() >= LevelFilter::DEBUG {
            let name = self.routes.name(code);
            tracing::debug_span!("message", peer = %self.peer, name)
        } else {
            Span::none()
        };
        let origin = Origin::Message { route, code, id };
        let bound = self.routes.route(route);
        let context = router::Context::new(&self.peer, self.routes.hub(), code, id);
        let started = span.in_scope(|| bound.handler.start(&context, message.by_ref(), None));
        let mut future = match started {
            Started::Done(outcome) => return self.complete(Caller::Task(origin), outcome),
            Started::Running(future) => future,
        };
        if !span.is_none() {
            future = PooledFuture::new(future.instrument(span));
        }
        match poll_caught(&mut future, cx) {
            Poll::Ready(outcome) => self.complete(Caller::Task(origin), outcome),
            Poll::Pending if bound.concurrent.is_some() => {
                self.concurrent.run(route, origin, charge, future);
            }
            Poll::Pending => self.serial = Some((Caller::Task(origin), future)),
        }
    }

    /// Reports what calls have published that go on: some never end.
    fn report_published(&self) {
        let published = self.scope.take_published();
        if published.is_charged() {
            self.shared.publish(self.round, published);
        }
    }

    fn complete(&mut self, caller: Caller, outcome: Outcome) {
        let published = self.scope.take_published();
        match caller {
            Caller::Task(origin) => {
                self.shared.complete(self.round, Some(origin), outcome, published);
            }
            Caller::Disconnect(done) => {
                // Before the task goes on, which would take the call for one that still blocks.
                self.shared.complete(self.round, None, Outcome::Silent, published);
                // The task may have given up.
                let _ = done.send(outcome);
            }
        }
    }
}
