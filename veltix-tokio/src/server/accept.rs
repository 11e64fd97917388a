//! The accept loop of a server, and the way of a connection to its task.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use veltix_core::limits::{ACCEPT_BACKOFF_FIRST, ACCEPT_BACKOFF_MAX};
use veltix_core::text::printable;
use veltix_core::{HandshakeError, IdSpace, ServerHandshake};

use crate::admission::{Full, Pace, Slot, Slots, Ticket};
use crate::close::CloseReason;
use crate::config::SocketCore;
use crate::connection::ConnectionTask;
use crate::handshake::{Failure, HelloCache, Welcome, welcome};
use crate::hub::Endpoint;
use crate::hub::{Event, HandshakeFailure};
use crate::planted::planted;
use crate::router::Routes;
use crate::tls::ServerTls;
use crate::transport::{Listener, PeerAddr, Stream};
use crate::workers::on_thread;

/// What connections get beyond the drain deadline to say their last words, before their tasks are
/// aborted.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// How often the tasks that have ended are let go of while nobody connects. To be woken by the end
/// of each would cost as much as a tenth of a short connection.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// What a new connection needs before it has a task.
pub(super) struct Entrance {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) routes: Arc<Routes>,
    pub(super) tls: Option<ServerTls>,
    pub(super) hello_cache: HelloCache,
}

/// Accepts until a shutdown begins, then waits for the connections. It owns their tasks: dropped,
/// it aborts them.
pub(super) async fn serve(mut listener: impl Listener, mut pace: Option<Pace>, entrance: Entrance) {
    let entrance = Arc::new(entrance);
    let endpoint = Arc::clone(&entrance.endpoint);
    let mut connections = JoinSet::new();
    let mut reaping = pin!(sleep(REAP_EVERY));
    let mut backoff = AcceptBackoff::default();
    let begun = endpoint.drain().begun();
    tokio::pin!(begun);
    loop {
        tokio::select! {
            // In this order, so that what happens at the same time happens the same each time. The
            // first two are ready too seldom for anybody to be kept waiting.
            biased;
            () = &mut begun => break,
            () = &mut reaping, if !connections.is_empty() => {
                reap(&mut connections);
                reaping.as_mut().reset(Instant::now() + REAP_EVERY);
            }
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    backoff.reset(endpoint.slots());
                    reap(&mut connections);
                    admit(stream, &entrance, &mut connections);
                    if let Some(next) = pace.as_mut().and_then(Pace::accepted) {
                        tokio::select! {
                            () = &mut begun => break,
                            () = sleep_until(next) => {}
                        }
                    }
                }
                Err(error) => {
                    let pause = backoff.next(&error, endpoint.slots());
                    tokio::select! {
                        biased;
                        () = &mut begun => break,
                        () = sleep(pause) => {}
                    }
                }
            },
        }
    }
    // Whoever connects from now on is refused by the system.
    drop(listener);
    let deadline = endpoint.drain().deadline().unwrap_or_else(Instant::now) + LAST_WORDS;
    let mut complete = true;
    if timeout_at(deadline, drained(&endpoint, &mut connections)).await.is_err() {
        tracing::warn!("the drain deadline has passed: connections are cut off");
        // Nobody can take its thread from a handler that blocks it, and nobody waits for one.
        let ended = timeout(LAST_WORDS, connections.shutdown()).await.is_ok();
        // Without tasks there may still be threads of their own.
        complete = ended && endpoint.peers().entered().is_empty();
    }
    let report = endpoint.drain().finish(complete);
    tracing::info!(addr = %endpoint.local_addr(), ?report, "stopped");
}

/// Closes the connections, each in its turn, and waits until all have ended.
async fn drained(endpoint: &Endpoint, connections: &mut JoinSet<()>) {
    let mut closing = pin!(close_in_turn(endpoint));
    let mut closed = false;
    loop {
        tokio::select! {
            biased;
            ended = connections.join_next() => if ended.is_none() { return },
            () = &mut closing, if !closed => closed = true,
        }
    }
}

/// Closes one connection after the other, evenly over the time that was asked for.
async fn close_in_turn(endpoint: &Endpoint) {
    let (start, spread) = (Instant::now(), endpoint.drain().spreads().closes);
    if !spread.is_zero() && !planted!("closed_all_at_once") {
        let peers = endpoint.peers().entered();
        let part = spread.div_f64(peers.len().max(1) as f64);
        for (turn, peer) in peers.into_iter().enumerate() {
            sleep_until(start + part.mul_f64(turn as f64)).await;
            peer.session().end(CloseReason::Shutdown);
        }
    }
    // With whoever entered meanwhile.
    endpoint.close_all();
}

/// Lets go of the tasks that have ended.
fn reap(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.try_join_next() {
        if let Err(error) = ended {
            // Tasks catch what handlers do, so this is a bug of ours.
            tracing::error!(%error, "the task of a connection panicked");
        }
    }
}

/// Gives a new stream to a task of its own. A full server says so cheaply, without a task.
fn admit(mut stream: Stream, entrance: &Arc<Entrance>, connections: &mut JoinSet<()>) {
    let endpoint = &entrance.endpoint;
    // Over TLS there is nothing that it could read yet.
    if entrance.tls.is_none()
        && let Err(full) = endpoint.slots().check(stream.addr().ip())
    {
        // Its socket is new and empty, so what is said fits; if not, the peer sees the end alone.
        let _ = stream.writer.try_write_vectored(&[IoSlice::new(&ServerHandshake::full())]);
        report_failure(endpoint, stream.link.addr, full.into());
        return;
    }
    let ticket = endpoint.handshakes().enter(stream.addr().ip());
    let handshake = enter(stream, Arc::clone(entrance), ticket);
    let connection = ConnectionTask::serve(handshake);
    if planted!("connections_outlive_run") {
        tokio::spawn(connection);
        return;
    }
    // One future for both would hold room for the larger one twice.
    match endpoint.limits().socket_core {
        SocketCore::Async => connections.spawn(connection),
        SocketCore::Threading => connections.spawn(on_thread(connection)),
    };
}

/// The handshake; gives the connection's task, and the slot that it holds as long as it lives.
async fn enter(
    mut stream: Stream,
    entrance: Arc<Entrance>,
    ticket: Ticket,
) -> Option<(ConnectionTask, Slot)> {
    let endpoint = &entrance.endpoint;
    match welcome_in_time(&mut stream, &entrance, ticket).await {
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

/// The handshake, unless its time, the shedding of pending ones, or a shutdown ends it first.
async fn welcome_in_time(
    stream: &mut Stream,
    entrance: &Entrance,
    mut ticket: Ticket,
) -> Result<Welcome, Option<HandshakeFailure>> {
    let endpoint = &entrance.endpoint;
    if endpoint.drain().has_begun() {
        // It began after the last look at it and before the ticket was there to be shed.
        return Err(None);
    }
    let limit = endpoint.limits().handshake_timeout;
    let welcome = async {
        if let Some(tls) = &entrance.tls {
            // Boxed: without TLS nobody should pay for its room.
            Box::pin(tls.shake_hands(stream, limit)).await?;
        }
        welcome(stream, endpoint.slots(), &entrance.hello_cache, &entrance.routes).await
    };
    tokio::select! {
        biased;
        // Cheaper than to wait for the shutdown too: it sheds all that are pending.
        () = ticket.shed() => Err((!endpoint.drain().has_begun()).then_some(HandshakeFailure::Shed)),
        welcomed = timeout(limit, welcome) => {
            match welcomed {
                Ok(Ok(welcome)) => Ok(welcome),
                Ok(Err(failure)) => Err(Some(HandshakeFailure::from(failure))),
                Err(_) => Err(Some(HandshakeFailure::Timeout)),
            }
        }
    }
}

fn report_failure(endpoint: &Endpoint, addr: PeerAddr, reason: HandshakeFailure) {
    let text = reason.to_string();
    let text = printable(&text);
    match &reason {
        HandshakeFailure::Panicked { .. } => {
            endpoint.panics().add();
            tracing::error!(%addr, reason = %text, "the handshake failed");
        }
        // Whoever guesses tokens writes no more than a line now and then.
        HandshakeFailure::Refused { .. }
            if endpoint.services().logs().refusals.is_due(Instant::now()) =>
        {
            tracing::warn!(%addr, reason = %text, "the handshake failed");
        }
        _ => tracing::debug!(%addr, reason = %text, "the handshake failed"),
    }
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

impl From<Failure> for HandshakeFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Protocol(HandshakeError::ServerFull) => Self::ServerFull,
            Failure::Full(full) => full.into(),
            Failure::Protocol(error) => Self::Protocol(error),
            Failure::Tls(error) => Self::Tls(error),
            Failure::Io(error) => Self::Io(error.kind()),
            // The application's words may have a peer's in them.
            Failure::Refused(refuse) => {
                Self::Refused { reason: printable(refuse.reason()).to_string() }
            }
            Failure::Panicked(message) => {
                Self::Panicked { message: printable(&message).to_string() }
            }
        }
    }
}

/// The pause after an accept that failed, as it does when no descriptor is free: without one the
/// loop would burn a core until one is.
#[derive(Debug, Default)]
struct AcceptBackoff {
    pause: Duration,
    logged: Option<Instant>,
}

impl AcceptBackoff {
    fn reset(&mut self, slots: &Slots) {
        if !mem::take(&mut self.pause).is_zero() {
            slots.set_accept_failing(false);
        }
    }

    fn next(&mut self, error: &io::Error, slots: &Slots) -> Duration {
        slots.set_accept_failing(true);
        self.pause = (self.pause * 2).clamp(ACCEPT_BACKOFF_FIRST, ACCEPT_BACKOFF_MAX);
        let now = Instant::now();
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= ACCEPT_BACKOFF_MAX) {
            self.logged = Some(now);
            tracing::warn!(%error, pause = ?self.pause, "a connection could not be accepted");
        }
        self.pause
    }
}
