//! Calls of routes that gave up order: see [`Handler::concurrent`](crate::Handler::concurrent).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::poll_fn;
use futures::stream::{FuturesUnordered, StreamExt};

use super::lane::Origin;
use crate::router::{Outcome, Recycled, RouteId, poll_caught};

type Ended = (Origin, Outcome, Recycled);
type Call = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// See the module. An idle connection holds nothing for it.
#[derive(Default)]
pub(super) struct Parallel(Option<Box<Running>>);

struct Running {
    calls: FuturesUnordered<Call>,
    /// How many of `calls` each route has. They are few, since each route has a limit.
    by_route: Vec<(RouteId, usize)>,
}

impl Parallel {
    /// Whether the route has as many calls as it may.
    pub(super) fn is_full(&self, route: RouteId, limit: usize) -> bool {
        let of_route = |running: &Running| {
            let found = running.by_route.iter().find(|(of, _)| *of == route);
            found.map_or(0, |(_, calls)| *calls)
        };
        self.0.as_deref().map_or(0, of_route) >= limit
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Takes over a call that waits.
    pub(super) fn run(&mut self, route: RouteId, origin: Origin, mut future: Recycled) {
        let running = self.0.get_or_insert_with(|| {
            Box::new(Running { calls: FuturesUnordered::new(), by_route: Vec::new() })
        });
        match running.by_route.iter_mut().find(|(of, _)| *of == route) {
            Some((_, calls)) => *calls += 1,
            None => running.by_route.push((route, 1)),
        }
        running.calls.push(Box::pin(async move {
            let outcome = poll_fn(|cx| poll_caught(&mut future, cx)).await;
            (origin, outcome, future)
        }));
    }

    /// The next call that has ended.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some(running) = &mut self.0 else { return Poll::Pending };
        let Some(ended) = ready!(running.calls.poll_next_unpin(cx)) else { return Poll::Pending };
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

    /// Ends all calls; says how many there were.
    pub(super) fn cancel(&mut self) -> u64 {
        self.0.take().map_or(0, |running| running.calls.len() as u64)
    }
}
