//! [`Accepting`]: a listener of any kind behind one type.

use std::io;
use std::task::{Context, Poll, ready};

use tokio_util::sync::ReusableBoxFuture;

use crate::transport::{Listener, Stream};

/// The reason why a listener accepted no connection.
#[derive(Debug)]
pub(super) enum AcceptError {
    /// The next accept may succeed.
    Temporary(io::Error),
    /// The listener accepts no connection any more.
    Final(io::Error),
}

/// A listener of any kind.
pub(super) trait Accepting: Send {
    /// Waits for the next connection.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, AcceptError>>;
}

type Accepted<L> = (L, Result<Stream, AcceptError>);

/// A listener with the future of its next connection. The future owns the listener, and its memory
/// serves all connections.
struct Erased<L>(ReusableBoxFuture<'static, Accepted<L>>);

/// Puts a listener behind the common type.
pub(super) fn erased(listener: impl Listener) -> Box<dyn Accepting> {
    Box::new(Erased(ReusableBoxFuture::new(accept(listener))))
}

async fn accept<L: Listener>(mut listener: L) -> Accepted<L> {
    let accepted = match listener.accept().await {
        Ok(stream) => Ok(stream),
        Err(error) if listener.is_final(&error) => Err(AcceptError::Final(error)),
        Err(error) => Err(AcceptError::Temporary(error)),
    };
    (listener, accepted)
}

impl<L: Listener> Accepting for Erased<L> {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, AcceptError>> {
        let (listener, accepted) = ready!(self.0.poll(cx));
        self.0.set(accept(listener));
        Poll::Ready(accepted)
    }
}
