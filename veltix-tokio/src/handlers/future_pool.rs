//! [`FuturePool`]: the future of the last handler, kept for the next message of the same route.
//!
//! A batch mostly has messages of one type. They pass one pooled future on, and the route, which has a pool
//! behind a lock, is asked once.

use tracing::level_filters::LevelFilter;

use crate::router::{Failure, Outcome, PooledFuture, RouteId, Routes};

/// A pooled future and its route. The pool is empty between turns: an idle connection holds none.
#[derive(Default)]
pub(super) struct FuturePool(Option<(RouteId, PooledFuture)>);

impl FuturePool {
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns a pooled future for this route, if there is one.
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

    /// Keeps a future that has ended.
    #[inline]
    pub(super) fn keep(&mut self, route: RouteId, routes: &Routes, future: PooledFuture) {
        if self.0.is_some() {
            self.give_back(routes);
        }
        self.0 = Some((route, future));
    }

    /// Keeps a future that has ended, unless it panicked.
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

    /// Keeps a future that had to wait. If it waited in a span, the span is part of it and would not close
    /// before the next message, so it is not kept.
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

    /// Gives the future back to its route.
    pub(super) fn give_back(&mut self, routes: &Routes) {
        if let Some((route, pooled)) = self.0.take() {
            routes.route(route).handler.give_back(pooled);
        }
    }
}
