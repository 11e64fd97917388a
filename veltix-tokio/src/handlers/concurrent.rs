//! [`Concurrent`]: the calls of routes that gave up order, see
//! [`Handler::concurrent`](crate::Handler::concurrent).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::stream::{FuturesUnordered, StreamExt};

use veltix_core::limits::CONCURRENT_BYTES;

use super::{EndedCall, Origin};
use crate::router::{PooledFuture, RouteId, Routes, poll_caught};
use crate::session::Services;
use crate::sync::drop_caught;

/// One call.
struct Call {
    origin: Origin,
    /// The bytes of its message.
    charge: usize,
    /// `None` once the call has ended.
    future: Option<PooledFuture>,
}

impl Future for Call {
    type Output = (EndedCall, usize);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.future else { return Poll::Pending };
        let outcome = ready!(poll_caught(future, cx));
        match self.future.take() {
            Some(future) => Poll::Ready(((self.origin, outcome, future), self.charge)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Call {
    /// Drops each future by itself: a destructor that panics must not prevent the others from running.
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            drop_caught(future);
        }
    }
}

/// The running concurrent calls. An idle connection holds no memory for them.
#[derive(Default)]
pub(super) struct Concurrent(Option<Box<Running>>);

struct Running {
    calls: FuturesUnordered<Call>,
    /// The number of calls of each route. They are few, because each route has a limit.
    by_route: Vec<(RouteId, usize)>,
    /// The bytes of the calls' messages.
    charge: usize,
}

impl Concurrent {
    /// Returns whether another call of this route may start, as far as the calls that run go.
    pub(super) fn has_turn(&self, route: RouteId, routes: &Routes, services: &Services) -> bool {
        let bound = routes.route(route);
        let Some(limit) = bound.concurrent else { return true };
        let per_peer = || services.workers().per_peer();
        let limit = if bound.blocking { limit.min(per_peer()) } else { limit };
        let bytes = services.limits().inbox_bytes.max(CONCURRENT_BYTES);
        !self.is_full(route, limit) && self.charge() < bytes
    }

    /// Returns whether the route has `limit` calls.
    fn is_full(&self, route: RouteId, limit: usize) -> bool {
        let of_route = |running: &Running| {
            let found = running.by_route.iter().find(|(of, _)| *of == route);
            found.map_or(0, |(_, calls)| *calls)
        };
        self.0.as_deref().map_or(0, of_route) >= limit
    }

    /// Returns the bytes of the messages of all calls.
    fn charge(&self) -> usize {
        self.0.as_ref().map_or(0, |running| running.charge)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds a call that waits. Its message has `charge` bytes.
    pub(super) fn run(
        &mut self,
        route: RouteId,
        origin: Origin,
        charge: usize,
        future: PooledFuture,
    ) {
        let running = self.0.get_or_insert_with(|| {
            Box::new(Running { calls: FuturesUnordered::new(), by_route: Vec::new(), charge: 0 })
        });
        match running.by_route.iter_mut().find(|(of, _)| *of == route) {
            Some((_, calls)) => *calls += 1,
            None => running.by_route.push((route, 1)),
        }
        running.charge += charge;
        running.calls.push(Call { origin, charge, future: Some(future) });
    }

    /// Polls the calls; returns the next one that has ended.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<EndedCall> {
        let Some(running) = &mut self.0 else { return Poll::Pending };
        let Some((ended, charge)) = ready!(running.calls.poll_next_unpin(cx)) else {
            return Poll::Pending;
        };
        running.charge -= charge;
        if let Origin::Message { route, .. } = ended.0
            && let Some((_, calls)) = running.by_route.iter_mut().find(|(of, _)| *of == route)
        {
            *calls -= 1;
        }
        if running.calls.is_empty() {
            self.0 = None;
        }
        Poll::Ready(ended)
    }

    /// Returns the codes of all calls.
    pub(super) fn codes(&self) -> impl Iterator<Item = u16> {
        self.0.iter().flat_map(|running| running.calls.iter().map(|call| call.origin.code()))
    }

    /// Cancels all calls; returns their number.
    pub(super) fn cancel(&mut self) -> u64 {
        self.0.take().map_or(0, |running| running.calls.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Waker;

    use veltix_core::{MessageType, RequestId};

    use super::*;
    use crate::router::{Outcome, Router};

    #[test]
    fn it_counts_each_route_alone_and_holds_nothing_when_all_have_ended() {
        let other = MessageType::new(201, "other", "");
        let routes = Routes::new(Router::new().route(other, || {}).fallback(|| {}), None);
        let [fallback, other] = [200, 201].map(|code| routes.find(code).expect("a route"));
        let mut concurrent = Concurrent::default();
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(concurrent.is_empty() && !concurrent.is_full(other, 1));
        let mut run = |route, future| {
            let origin = Origin::Message { route, code: 0, id: RequestId::default() };
            concurrent.run(route, origin, 10, future);
        };
        run(other, PooledFuture::new(ready(Outcome::Silent)));
        run(other, PooledFuture::new(ready(Outcome::Silent)));
        run(fallback, PooledFuture::new(pending()));
        assert_eq!(concurrent.charge(), 30);
        assert!(concurrent.is_full(other, 2) && !concurrent.is_full(other, 3));
        assert!(concurrent.is_full(fallback, 1) && !concurrent.is_full(fallback, 2));
        assert!(concurrent.poll_ended(cx).is_ready() && concurrent.poll_ended(cx).is_ready());
        assert!(concurrent.poll_ended(cx).is_pending() && !concurrent.is_full(other, 1));
        assert_eq!(concurrent.charge(), 10);
        assert_eq!((concurrent.cancel(), concurrent.is_empty()), (1, true));
        concurrent.run(other, Origin::Connect, 10, PooledFuture::new(ready(Outcome::Silent)));
        assert!(concurrent.poll_ended(cx).is_ready() && concurrent.is_empty());
        assert_eq!(concurrent.cancel(), 0);
    }
}
