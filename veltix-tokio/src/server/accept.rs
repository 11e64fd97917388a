//! The accept loop of a server, and the steps of a connection from the listener to its task.

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
use crate::log::{RateLimitedLog, log_limited, log_or_debug};
use crate::router::Routes;
use crate::tls::ServerTls;
use crate::transport::{Listener, PeerAddr, Stream};
use crate::workers::on_thread;

/// The time after the drain deadline in which connections may still write. Afterwards their tasks
/// are aborted.
const ABORT_AFTER: Duration = Duration::from_millis(250);

/// The interval at which ended tasks are removed while no client connects. Waking the loop at the
/// end of each task would cost as much as a tenth of a short connection.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// The log of tasks that panicked, for all servers of the process.
static TASK_PANICS: RateLimitedLog = RateLimitedLog::new();

/// The shared state that turns a new stream into a connection task.
pub(super) struct Entrance {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) routes: Arc<Routes>,
    pub(super) tls: Option<ServerTls>,
    pub(super) hello_cache: HelloCache,
}

/// Accepts connections until a shutdown begins, then waits until they have ended. The future owns
/// their tasks: dropping it aborts them.
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
            // The fixed order makes simultaneous events deterministic. The first two branches are
            // rarely ready, so they do not delay the others.
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
    // From now on the system refuses new connections.
    drop(listener);
    let deadline = endpoint.drain().deadline().unwrap_or_else(Instant::now) + ABORT_AFTER;
    let mut complete = true;
    if timeout_at(deadline, drained(&endpoint, &mut connections)).await.is_err() {
        tracing::warn!(
            "the drain deadline has passed: the remaining connections are aborted; raise `drain_timeout` if handlers need more time"
        );
        // A handler that blocks its thread cannot be stopped, so the wait for it is bounded.
        let ended = timeout(ABORT_AFTER, connections.shutdown()).await.is_ok();
        // Tasks may have ended while threads of `SocketCore::Threading` still run.
        complete = ended && endpoint.peers().entered().is_empty();
    }
    let report = endpoint.drain().finish(complete);
    tracing::info!(addr = %endpoint.local_addr(), ?report, "stopped");
}

/// Closes the connections one after the other, and waits until all have ended.
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

/// Closes one connection after the other, evenly over the configured `drain_spread`.
async fn close_in_turn(endpoint: &Endpoint) {
    let (start, spread) = (Instant::now(), endpoint.drain().spreads().closes);
    if !spread.is_zero() && !fault!("closed_all_at_once") {
        let peers = endpoint.peers().entered();
        let part = spread.div_f64(peers.len().max(1) as f64);
        for (turn, peer) in peers.into_iter().enumerate() {
            sleep_until(start + part.mul_f64(turn as f64)).await;
            peer.session().end(CloseReason::Shutdown);
        }
    }
    // This also closes the connections that were admitted meanwhile.
    endpoint.close_all();
}

/// Removes the tasks that have ended.
fn reap(connections: &mut JoinSet<()>) {
    while let Some(ended) = connections.try_join_next() {
        if let Err(error) = ended {
            // Tasks catch the panics of handlers, so this panic is a bug of the library.
            let due = TASK_PANICS.decide(Instant::now());
            log_limited!(
                error, due, %error, "the task of a connection panicked: please report this bug"
            );
        }
    }
}

/// Starts a task for a new stream. A full server refuses the stream cheaply, without a task.
fn admit(mut stream: Stream, entrance: &Arc<Entrance>, connections: &mut JoinSet<()>) {
    let endpoint = &entrance.endpoint;
    // Over TLS the client could not read the refusal before the TLS handshake.
    if entrance.tls.is_none()
        && let Err(full) = endpoint.slots().check(stream.addr().ip())
    {
        // The socket is new and empty, so the refusal fits. Otherwise the peer sees only the end of
        // the stream.
        let _ = stream.writer.try_write_vectored(&[IoSlice::new(&ServerHandshake::full())]);
        report_failure(endpoint, stream.link.addr, full.into());
        return;
    }
    let ticket = endpoint.handshakes().enter(stream.addr().ip());
    let handshake = enter(stream, Arc::clone(entrance), ticket);
    let connection = ConnectionTask::serve(handshake);
    if fault!("connections_outlive_run") {
        tokio::spawn(connection);
        return;
    }
    // Two separate spawns: one future for both cases would reserve the room of the larger one
    // twice.
    match endpoint.limits().socket_core {
        SocketCore::Async => connections.spawn(connection),
        SocketCore::Threading => connections.spawn(on_thread(connection)),
    };
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
    mut ticket: Ticket,
) -> Result<Welcome, Option<HandshakeFailure>> {
    if entrance.endpoint.drain().has_begun() {
        // The shutdown began after the last check and before the ticket existed that could have
        // been shed.
        return Err(None);
    }
    let limit = entrance.endpoint.limits().handshake_timeout;
    // `move`: one reference to the entrance instead of one to each of its fields.
    let welcome = async move {
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
        () = ticket.shed() => Err((!entrance.endpoint.drain().has_begun()).then_some(HandshakeFailure::Shed)),
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
    let (logs, now) = (endpoint.services().logs(), Instant::now);
    match &reason {
        HandshakeFailure::Panicked { .. } => {
            endpoint.panics().add();
            let due = logs.handshake_panics.decide(now());
            log_or_debug!(error, due, %addr, reason = %text, "the handshake failed");
        }
        // The rate limit keeps a peer that guesses tokens from filling the log.
        HandshakeFailure::Refused { .. } => {
            let due = logs.refusals.decide(now());
            log_or_debug!(warn, due, %addr, reason = %text, "the handshake failed");
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
            // The application's text may contain text of a peer.
            Failure::Refused(refuse) => {
                Self::Refused { reason: printable(refuse.reason()).to_string() }
            }
            Failure::Panicked(message) => {
                Self::Panicked { message: printable(&message).to_string() }
            }
        }
    }
}

/// The pause after a failed accept, for example when no file descriptor is free. Without a pause
/// the loop would use a whole core until a descriptor is free.
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
            tracing::warn!(
                %error,
                pause = ?self.pause,
                "a connection could not be accepted: check the limit of open files if this continues"
            );
        }
        self.pause
    }
}
