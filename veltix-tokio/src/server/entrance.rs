//! [`Entrance`]: the steps of a connection from its listener to its task.

use std::io::IoSlice;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use veltix_core::text::printable;
use veltix_core::{HandshakeError, IdSpace, ServerHandshake};

use crate::admission::{Full, Networks, Place, Slot, Ticket};
use crate::connection::ConnectionTask;
use crate::handshake::{Failure, HelloCache, Welcome, take_header, welcome};
use crate::hub::Endpoint;
use crate::hub::{Event, HandshakeFailure};
use crate::log::log_or_debug;
use crate::router::Routes;
use crate::tls::ServerTls;
use crate::transport::{PeerAddr, Stream, write_all};

/// The state that turns a new stream of one listener into a connection task. The listeners of a
/// server share everything but TLS and the load balancers. Each has a copy of its own, so that a
/// pending handshake needs one reference.
pub(super) struct Entrance {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) routes: Arc<Routes>,
    pub(super) hello_cache: Arc<HelloCache>,
    pub(super) tls: Option<ServerTls>,
    /// The load balancers, which begin each connection with a header. `None` for most listeners.
    pub(super) balancers: Option<Networks>,
}

impl Entrance {
    /// Returns whether the stream, as its listener accepted it, begins with the header of a load balancer.
    fn has_header(&self, stream: &Stream) -> bool {
        match (&self.balancers, stream.addr().ip()) {
            (Some(balancers), Some(ip)) => balancers.contains(ip),
            _ => false,
        }
    }

    /// Reads the header of a load balancer, whose client counts from now on.
    async fn take_header(&self, stream: &mut Stream, place: &Place) -> Result<(), Failure> {
        let is_own = take_header(stream, self.endpoint.limits().handshake_timeout).await?;
        let ip = stream.addr().ip();
        self.endpoint.handshakes().locate(place, ip);
        if is_own && self.tls.is_none() && self.endpoint.slots().check(ip).is_err() {
            // Otherwise each health check of a full server would be a failed handshake.
            write_all(&mut *stream.writer, &ServerHandshake::full()).await?;
            return Err(Failure::NoByte);
        }
        Ok(())
    }
}

/// Starts a task for a new stream. A full server refuses the stream cheaply, without a task, unless its
/// client is not known before the header of a load balancer is read.
pub(super) fn admit(mut stream: Stream, entrance: &Arc<Entrance>, connections: &mut JoinSet<()>) {
    let endpoint = &entrance.endpoint;
    let has_header = entrance.has_header(&stream);
    // Over TLS the client could not read the refusal before the TLS handshake.
    if entrance.tls.is_none()
        && !has_header
        && let Err(full) = endpoint.slots().check(stream.addr().ip())
    {
        // The socket is new and empty, so the refusal fits. Otherwise the peer sees only the end of
        // the stream.
        let _ = stream.writer.try_write_vectored(&[IoSlice::new(&ServerHandshake::full())]);
        report_failure(endpoint, stream.link.addr, full.into());
        return;
    }
    // The address of a load balancer is not that of the client: see `Handshakes::locate`.
    let ip = if has_header { None } else { stream.addr().ip() };
    let ticket = endpoint.handshakes().enter(ip);
    let handshake = enter(stream, Arc::clone(entrance), ticket);
    let connection = ConnectionTask::serve(handshake);
    if fault!("connections_outlive_run") {
        tokio::spawn(connection);
        return;
    }
    connections.spawn(connection);
}

/// Performs the handshake, and returns the connection's task with the slot that the connection
/// holds until its end.
///
/// This future lives only until then, but its size counts for longer. A freed block of more than
/// 1 032 bytes bypasses the thread cache of glibc's allocator, and the session takes a part of it:
/// with 1 048 bytes, each idle connection cost 65 bytes more.
async fn enter(
    mut stream: Stream,
    entrance: Arc<Entrance>,
    ticket: Ticket,
) -> Option<(ConnectionTask, Slot)> {
    let welcomed = welcome_in_time(&mut stream, &entrance, ticket).await;
    let endpoint = &entrance.endpoint;
    match welcomed {
        Ok(Welcome { hello, identity, surplus, slot }) => {
            let routes = Arc::clone(&entrance.routes);
            let ids = IdSpace::server();
            let task = ConnectionTask::new(endpoint, routes, stream, hello, surplus, ids);
            if let Some(identity) = identity {
                task.peer().identify(identity);
            }
            Some((task, slot))
        }
        Err(failure) => {
            if let Some(failure) = failure {
                report_failure(endpoint, stream.link.addr, failure);
            }
            None
        }
    }
}

/// Performs the handshake, unless its timeout, the shedding of pending handshakes, or a shutdown
/// ends it first.
async fn welcome_in_time(
    stream: &mut Stream,
    entrance: &Entrance,
    Ticket { place, mut shed }: Ticket,
) -> Result<Welcome, Option<HandshakeFailure>> {
    if entrance.endpoint.drain().has_begun() {
        // The shutdown began after the last check and before the ticket existed that could have
        // been shed.
        return Err(None);
    }
    let limit = entrance.endpoint.limits().handshake_timeout;
    // `move`: one reference to the entrance instead of one to each of its fields, and no reference to the place.
    let welcome = async move {
        if entrance.has_header(stream) {
            // Boxed for the same reason as TLS.
            Box::pin(entrance.take_header(stream, &place)).await?;
        }
        if let Some(tls) = &entrance.tls {
            // The TLS handshake is boxed, so that connections without TLS do not reserve its
            // memory.
            Box::pin(tls.shake_hands(stream, limit)).await?;
        }
        welcome(stream, entrance.endpoint.slots(), &entrance.hello_cache, &entrance.routes).await
    };
    tokio::select! {
        biased;
        // This is cheaper than waiting for the shutdown too: a shutdown sheds all pending
        // handshakes.
        () = shed.wait() => Err((!entrance.endpoint.drain().has_begun()).then_some(HandshakeFailure::Shed)),
        welcomed = timeout(limit, welcome) => {
            match welcomed {
                Ok(Ok(welcome)) => Ok(welcome),
                Ok(Err(failure)) => Err(reason_of(failure)),
                Err(_) => Err(Some(HandshakeFailure::Timeout)),
            }
        }
    }
}

fn report_failure(endpoint: &Endpoint, addr: PeerAddr, reason: HandshakeFailure) {
    let text = reason.to_string();
    let text = printable(&text);
    let (logs, now) = (endpoint.services().logs(), Instant::now);
    match &reason {
        HandshakeFailure::Panicked { .. } => {
            endpoint.services().meters().panics.add();
            let due = logs.handshake_panics.decide(now());
            log_or_debug!(error, due, %addr, reason = %text, "the handshake failed");
        }
        // The rate limit keeps a peer that guesses tokens from filling the log.
        HandshakeFailure::Refused { .. } => {
            let due = logs.refusals.decide(now());
            log_or_debug!(warn, due, %addr, reason = %text, "the handshake failed");
        }
        // Either side of a deployment is not set up for the other.
        HandshakeFailure::Proxy(_) | HandshakeFailure::Protocol(HandshakeError::ProxyHeader) => {
            let due = logs.proxies.decide(now());
            log_or_debug!(warn, due, %addr, reason = %text, "the handshake failed");
        }
        _ => tracing::debug!(%addr, reason = %text, "the handshake failed"),
    }
    endpoint.services().meters().handshakes_failed.add(reason.index());
    endpoint.events().emit(|| Event::HandshakeFailed { addr, reason });
}

impl From<Full> for HandshakeFailure {
    fn from(full: Full) -> Self {
        match full {
            Full::Server => Self::ServerFull,
            Full::Address => Self::AddressFull,
        }
    }
}

/// Returns the reason that is reported, or `None` for a health check.
fn reason_of(failure: Failure) -> Option<HandshakeFailure> {
    Some(match failure {
        Failure::NoByte => {
            tracing::trace!("a connection was closed before its first byte");
            return None;
        }
        Failure::Protocol(HandshakeError::ServerFull) => HandshakeFailure::ServerFull,
        Failure::Full(full) => full.into(),
        Failure::Protocol(error) => HandshakeFailure::Protocol(error),
        Failure::Tls(error) => HandshakeFailure::Tls(error),
        Failure::Proxy(error) => HandshakeFailure::Proxy(error),
        Failure::Io(error) => HandshakeFailure::Io(error.kind()),
        // The application's text may contain text of a peer.
        Failure::Refused(refuse) => {
            HandshakeFailure::Refused { reason: printable(refuse.reason()).to_string() }
        }
        Failure::Panicked(message) => {
            HandshakeFailure::Panicked { message: printable(&message).to_string() }
        }
    })
}

#[cfg(all(test, target_pointer_width = "64", not(feature = "__tls")))]
mod tests {
    use super::*;
    use crate::router::Router;
    use crate::server::{Server, ServerConfig};
    use crate::transport::{memory, memory_pair};

    /// With the feature `tls` it has 24 bytes more.
    #[test]
    fn the_future_of_a_handshake_fits_the_thread_cache_of_the_allocator() {
        let (listener, _) = memory(1);
        let server = Server::with_listener(listener, ServerConfig::default(), Router::new());
        let server = server.expect("the config works");
        let ticket = server.endpoint.handshakes().enter(None);
        let entrance = Arc::clone(server.listeners.entrance());
        let size = size_of_val(&enter(memory_pair(1).0, entrance, ticket));
        assert!(size <= 1_032, "{size} bytes");
    }
}
