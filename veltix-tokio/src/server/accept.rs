//! The accept loop of a server, and its drain.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::entrance::admit;
use super::listeners::{FailedListener, Listeners};
use crate::admission::Pace;
use crate::close::CloseReason;
use crate::error::ServeError;
use crate::hub::{Endpoint, Event};
use crate::log::{RateLimitedLog, log_limited};

/// The time after the drain deadline in which connections may still write. Afterwards their tasks
/// are aborted.
const ABORT_AFTER: Duration = Duration::from_millis(250);

/// The interval at which ended tasks are removed while no client connects. Waking the loop at the
/// end of each task would cost as much as a tenth of a short connection.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// The log of tasks that panicked, for all servers of the process.
static TASK_PANICS: RateLimitedLog = RateLimitedLog::new();

/// Accepts connections until a shutdown begins, or until no listener is left, then waits until they
/// have ended. The future owns their tasks: dropping it aborts them.
pub(super) async fn serve(
    mut listeners: Listeners,
    mut pace: Option<Pace>,
    endpoint: Arc<Endpoint>,
) -> Result<(), ServeError> {
    let mut connections = JoinSet::new();
    let mut reaping = pin!(sleep(REAP_EVERY));
    let mut result = Ok(());
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
            accepted = listeners.next(endpoint.slots()) => match accepted {
                Ok(stream) => {
                    reap(&mut connections);
                    endpoint.services().meters().accepted.add();
                    admit(stream, listeners.entrance(), &mut connections);
                    if let Some(next) = pace.as_mut().and_then(Pace::accepted) {
                        tokio::select! {
                            () = &mut begun => break,
                            () = sleep_until(next) => {}
                        }
                    }
                }
                Err(failed) => {
                    let FailedListener { addr, label, error: source } = *failed;
                    tracing::error!(
                        %addr,
                        label = label.as_deref(),
                        error = %source,
                        others = listeners.len(),
                        "a listener has failed for good: restart the server to listen there again"
                    );
                    let event = || Event::ListenerFailed {
                        addr: addr.clone(),
                        label,
                        error: source.to_string(),
                    };
                    endpoint.events().emit(event);
                    if listeners.is_empty() {
                        result = Err(ServeError::NoListener { addr: addr.to_string(), source });
                        endpoint.begin_shutdown();
                        break;
                    }
                }
            },
        }
    }
    // From now on the system refuses new connections.
    drop(listeners);
    let deadline = endpoint.drain().deadline().unwrap_or_else(Instant::now) + ABORT_AFTER;
    let mut complete = true;
    if timeout_at(deadline, drained(&endpoint, &mut connections)).await.is_err() {
        let tasks = endpoint.tasks().end();
        tracing::warn!(
            connections = connections.len(),
            tasks,
            "the drain deadline has passed: the remaining connections and tasks are aborted; raise `drain_timeout` if they need more time, and let tasks of `Hub::spawn` select on `closing`"
        );
        endpoint.drain().abort_tasks(tasks);
        // A handler that blocks its thread cannot be stopped, so the wait for it is bounded.
        let aborted = async {
            connections.shutdown().await;
            endpoint.tasks().finished().await;
        };
        complete = timeout(ABORT_AFTER, aborted).await.is_ok();
    }
    // Tasks may have ended while handlers still block threads of `SocketCore::Threading`.
    let threads = endpoint.services().handler_threads();
    let _ = timeout(ABORT_AFTER, threads.ended()).await;
    let blocked = threads.running();
    if blocked > 0 {
        tracing::warn!(
            threads = blocked,
            "handlers still block threads after the drain deadline: the threads are left alone"
        );
    }
    endpoint.tasks().end();
    #[cfg(feature = "cluster")]
    if let Some(relay) = endpoint.relay() {
        // After a drain that took all of its time, too, the other nodes hear the farewell.
        let deadline = deadline.max(Instant::now() + ABORT_AFTER);
        endpoint.drain().record_cluster(Arc::clone(relay).close(deadline).await);
    }
    let report = endpoint.drain().finish(complete, blocked as u64);
    tracing::info!(addr = %endpoint.local_addr(), ?report, "stopped");
    result
}

/// Closes the connections one after the other, and waits until all have ended.
async fn drained(endpoint: &Endpoint, connections: &mut JoinSet<()>) {
    let mut closing = pin!(close_in_turn(endpoint));
    let mut closed = false;
    loop {
        tokio::select! {
            biased;
            ended = connections.join_next() => if ended.is_none() { break },
            () = &mut closing, if !closed => closed = true,
        }
    }
    // Tasks that read a watch or the events to their end would otherwise wait for the drain, and it for them.
    endpoint.end_streams();
    // Handlers may have spawned tasks until now.
    endpoint.tasks().finished().await;
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
