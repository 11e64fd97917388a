//! A layer that does nothing, for measuring the cost of a layer.

use std::task::{Context, Poll};

use tower_service::Service;
use veltix::layer::Inbound;

/// A service that only calls the inner one.
#[derive(Clone)]
pub(crate) struct Through<S>(pub(crate) S);

impl<S: Service<Inbound>> Service<Inbound> for Through<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound) -> S::Future {
        self.0.call(inbound)
    }
}
