//! Temporary and final failures of listeners.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use veltix::transport::{IntoListener, Listening, PeerAddr};
use veltix::{
    CloseReason, Error, Event, Hub, Message, Router, ServeError, Server, ServerConfig, all,
};

use super::{Door, failing};
use crate::support::{OTHER, quiet, until};

/// Starts a server on these listeners. The task returns the result of `run`.
fn serve(
    first: impl IntoListener,
    others: impl IntoIterator<Item = Listening>,
) -> (Hub, JoinHandle<veltix::Result<()>>) {
    let router = Router::new().route(OTHER, |_: Message| {});
    let mut server = Server::with_listener(first, ServerConfig::default(), router).unwrap();
    for other in others {
        server = server.also_listen(other).unwrap();
    }
    (server.hub(), tokio::spawn(server.run()))
}

fn failure(event: Event) -> Option<(PeerAddr, Option<String>, String)> {
    match event {
        Event::ListenerFailed { addr, label, error } => {
            Some((addr, label.map(|label| label.to_string()), error))
        }
        _ => None,
    }
}

/// Waits until the server serves the door again after a pause.
async fn served(door: &Door) -> Duration {
    let begun = Instant::now();
    door.client().await.close().await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_failed_for_good_leaves_the_others_alone() {
    let ((first, one), (second, two)) = (failing(1), failing(2));
    let (hub, running) = serve(first, [Listening::new(second).label("inner")]);
    let mut events = hub.events();
    let (client, other) = (one.client().await, two.client().await);
    two.break_down();
    let expected = (PeerAddr::Memory(2), Some("inner".to_owned()), "broken".to_owned());
    assert_eq!(until(&mut events, failure).await, expected);
    two.closed().await;
    // Its connections stay, and the first listener accepts.
    let third = one.client().await;
    quiet().await;
    assert_eq!(hub.count(all()), Ok(3));
    assert!(client.is_connected() && other.is_connected() && third.is_connected());
    assert!(hub.spare_connections() > 0 && !running.is_finished());
    let report = hub.shutdown().await;
    assert_eq!((report.connections, report.complete), (3, true));
    running.await.unwrap().expect("a shutdown is no error");
}

#[tokio::test(start_paused = true)]
async fn the_last_listener_takes_the_server_with_it_after_a_drain() {
    let ((first, one), (second, two)) = (failing(1), failing(2));
    let (hub, running) = serve(first, [Listening::new(second)]);
    let mut events = hub.events();
    let (router, mut messages) = Router::new().messages();
    let client = one.client_with(router).await;
    let mut seen = client.events();
    one.break_down();
    one.closed().await;
    quiet().await;
    assert!(!running.is_finished() && client.is_connected());
    hub.broadcast(&Message::from_text(OTHER, "the last words")).unwrap();
    two.break_down();
    let error = running.await.unwrap().expect_err("no peer can connect any more");
    let Error::Serve(ServeError::NoListener { addr, source }) = &error else { panic!("{error:?}") };
    assert_eq!((addr.as_str(), source.to_string().as_str()), ("memory:2", "broken"));
    assert!(error.to_string().contains("bind it again") && error.source().is_some());
    // The connection was drained: its queue was written, and the client was told.
    assert_eq!(messages.next().await.expect("it was written").text().unwrap(), "the last words");
    until(&mut seen, |event| matches!(event, Event::GoingAway { .. }).then_some(())).await;
    let end = client.peer().closed().await;
    assert_eq!(end.reason, CloseReason::PeerClosed);
    for number in [1, 2] {
        assert_eq!(until(&mut events, failure).await.0, PeerAddr::Memory(number));
    }
    until(&mut events, |event| matches!(event, Event::Draining).then_some(())).await;
    let report = timeout(Duration::from_secs(1), hub.shutdown()).await.expect("it is over");
    assert_eq!((report.connections, report.complete), (1, true));
    assert_eq!(hub.spare_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_failure_pauses_one_listener_and_no_other() {
    let ((first, one), (second, two)) = (failing(1), failing(2));
    let (hub, _running) = serve(first, [Listening::new(second)]);
    let spare = hub.spare_connections();
    // The pauses of a listener that fails again and again grow up to a second.
    for _ in 0..10 {
        two.fail(io::ErrorKind::OutOfMemory);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(served(&one).await, Duration::ZERO);
    assert_eq!(hub.spare_connections(), spare, "one listener accepts");
    // While both fail, no connection is accepted.
    for _ in 0..10 {
        one.fail(io::ErrorKind::OutOfMemory);
    }
    quiet().await;
    assert_eq!(hub.spare_connections(), 0);
    let pause = served(&one).await;
    assert!(pause > Duration::from_secs(1) && pause < Duration::from_secs(10), "{pause:?}");
    assert_eq!(hub.spare_connections(), spare);
}

/// The error that the system reports for a socket that does not listen.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_listener_that_says_nothing_of_its_errors_fails_by_those_of_a_system() {
    use tokio::sync::Notify;
    use veltix::transport::{Listener, Stream};

    const EBADF: i32 = 9;
    const EMFILE: i32 = 24;

    struct Plain(std::sync::Arc<Notify>, std::vec::IntoIter<i32>);

    impl Listener for Plain {
        async fn accept(&mut self) -> io::Result<Stream> {
            self.0.notified().await;
            Err(io::Error::from_raw_os_error(self.1.next().expect("it is not asked again")))
        }

        fn local_addr(&self) -> PeerAddr {
            PeerAddr::Memory(7)
        }
    }

    let fail = std::sync::Arc::new(Notify::new());
    let (_, running) = serve(Plain(fail.clone(), vec![EMFILE, EMFILE, EBADF].into_iter()), []);
    for _ in 0..2 {
        fail.notify_one();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!running.is_finished());
    }
    fail.notify_one();
    let error = running.await.unwrap().expect_err("it does not listen any more");
    let Error::Serve(ServeError::NoListener { source, .. }) = error else { panic!("{error:?}") };
    assert_eq!(source.raw_os_error(), Some(EBADF));
}

/// A shutdown that began before is not an error, whatever happens to the listeners afterwards.
#[tokio::test(start_paused = true)]
async fn a_failure_during_a_shutdown_changes_nothing() {
    let (first, one) = failing(1);
    let (hub, running) = serve(first, []);
    let _client = one.client().await;
    let report = hub.shutdown();
    one.break_down();
    assert!(report.await.complete);
    running.await.unwrap().expect("a shutdown is no error");
}

/// Its connections and the other listeners go on.
#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_has_failed_for_good() {
    let ((first, one), (second, two)) = (failing(1), failing(2));
    let (hub, running) = serve(first, [Listening::new(second)]);
    let mut events = hub.events();
    let (client, other) = (one.client().await, two.client().await);
    two.panic();
    let (addr, _, error) = until(&mut events, failure).await;
    assert_eq!((addr, error.as_str()), (PeerAddr::Memory(2), "the listener panicked: planned"));
    let third = one.client().await;
    assert!(client.is_connected() && other.is_connected() && third.is_connected());
    one.panic();
    let error = running.await.unwrap().expect_err("no peer can connect any more");
    assert!(matches!(error, Error::Serve(ServeError::NoListener { .. })), "{error:?}");
}
