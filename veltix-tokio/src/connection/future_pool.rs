//! The box of the last handler's future, kept for the next message of the same route.
//!
//! A batch is mostly of one type, so its messages pass one box on, and the route that keeps a few
//! is asked once.

use tracing::level_filters::LevelFilter;

use crate::router::{Failure, Outcome, PooledFuture, RouteId, Routes};

/// See the module. It is empty between turns: an idle connection holds no box.
#[derive(Default)]
pub(super) struct FuturePool(Option<(RouteId, PooledFuture)>);

impl FuturePool {
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// A box for a future of this route, if there is one.
    #[inline]
    pub(super) fn take(&mut self, route: RouteId, routes: &Routes) -> Option<PooledFuture> {
        match self.0.take() {
            Some((of, pooled)) if of == route => Some(pooled),
            other => {
                self.0 = other;
                self.give_back(routes);
                routes.route(route).handler.pooled()
            }
        }
    }

    /// Keeps the box of a future that is over.
    #[inline]
    pub(super) fn keep(&mut self, route: RouteId, routes: &Routes, future: PooledFuture) {
        if self.0.is_some() {
            self.give_back(routes);
        }
        self.0 = Some((route, future));
    }

    /// The same, but a box whose future panicked must not be seen again.
    pub(super) fn keep_unless_panicked(
        &mut self,
        route: RouteId,
        routes: &Routes,
        future: PooledFuture,
        failure: &Failure,
    ) {
        if !matches!(failure, Failure::Panicked(_)) {
            self.keep(route, routes, future);
        }
    }

    /// The same for a future that had to wait. A span that it waited in is in the box, and would
    /// not close before the next message.
    pub(super) fn keep_waited(
        &mut self,
        route: RouteId,
        routes: &Routes,
        future: PooledFuture,
        outcome: &Outcome,
    ) {
        if LevelFilter::current() >= LevelFilter::DEBUG {
            return;
        }
        match outcome {
            Outcome::Failure(failure) => self.keep_unless_panicked(route, routes, future, failure),
            Outcome::Silent | Outcome::Reply(_) => self.keep(route, routes, future),
        }
    }

    /// Gives the box back to its route.
    pub(super) fn give_back(&mut self, routes: &Routes) {
        if let Some((route, pooled)) = self.0.take() {
            routes.route(route).handler.give_back(pooled);
        }
    }
}
