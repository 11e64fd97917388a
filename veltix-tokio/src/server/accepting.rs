//! [`Accepting`]: a listener of any kind behind one type.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};

use tokio::task::coop::cooperative;
use tokio_util::sync::ReusableBoxFuture;

use crate::sync::panic_text;
use crate::transport::{Listener, Stream, TcpAcceptor};

/// The reason why a listener accepted no connection.
#[derive(Debug)]
pub(super) enum AcceptError {
    /// The next accept may succeed.
    Temporary(io::Error),
    /// The listener accepts no connection any more.
    Final(io::Error),
}

impl AcceptError {
    const fn new(is_final: bool, error: io::Error) -> Self {
        if is_final { Self::Final(error) } else { Self::Temporary(error) }
    }
}

/// A listener of any kind.
pub(super) trait Accepting: Send {
    /// Waits for the next connection.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, AcceptError>>;
}

/// A socket needs no future.
impl Accepting for TcpAcceptor {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, AcceptError>> {
        self.poll_accept_stream(cx).map_err(|error| AcceptError::new(self.is_final(&error), error))
    }
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
    // A listener of an application may always be ready, and must not keep other tasks from running.
    let accepted = cooperative(listener.accept()).await;
    let accepted = accepted.map_err(|error| AcceptError::new(listener.is_final(&error), error));
    (listener, accepted)
}

impl<L: Listener> Accepting for Erased<L> {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, AcceptError>> {
        // A panic ends this listener, and not the server and the connections of the others.
        let polled = catch_unwind(AssertUnwindSafe(|| self.0.poll(cx)));
        let (listener, accepted) = match polled {
            Ok(accepted) => ready!(accepted),
            Err(panic) => {
                let text = format!("the listener panicked: {}", panic_text(&*panic));
                return Poll::Ready(Err(AcceptError::Final(io::Error::other(text))));
            }
        };
        self.0.set(accept(listener));
        Poll::Ready(accepted)
    }
}
