//! Failures of a client's `on_connect`: passing ones follow the policy of `Reconnect`, and final ones
//! end the attempts.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};
use veltix::transport::{Connector, MemoryConnector, Stream};
use veltix::{
    BoxError, Client, ClientConfig, CloseReason, ConnectError, Event, PONG, Peer, Reconnect,
    Refuse, Router,
};

use super::{accept, attempt, break_and_accept, config, connected, gave_up, lost, seconds};
use crate::support::{PIPE, PYTHON, RawPeer, RawServer, World, until};

/// The ways in which an `on_connect` can fail for now.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Error,
    ForNow,
    Panic,
    Hang,
}

/// Creates a router whose `on_connect` fails in the calls of these numbers, from 0.
fn failing(fault: Fault, calls: std::ops::Range<usize>) -> Router {
    let made = Arc::new(AtomicUsize::new(0));
    Router::new().on_connect(move || {
        let call = made.fetch_add(1, Ordering::Relaxed);
        let fails = calls.contains(&call);
        async move {
            match fault {
                _ if !fails => Ok(()),
                Fault::Error => Err("the database is not there".into()),
                Fault::ForNow => Err(Refuse::for_now("later").into()),
                Fault::Panic => panic!("planned"),
                Fault::Hang => pending::<Result<(), BoxError>>().await,
            }
        }
    })
}

const FAULTS: [Fault; 4] = [Fault::Error, Fault::ForNow, Fault::Panic, Fault::Hang];

#[tokio::test(start_paused = true)]
async fn a_failed_on_connect_is_tried_again() {
    for fault in FAULTS {
        let mut server = RawServer::new(PIPE);
        let reconnect = config(Reconnect::fixed(seconds(1)));
        let (client, mut raw) = server.client(reconnect, failing(fault, 1..4)).await;
        let mut events = client.events();
        for number in 1..=4 {
            raw = break_or_accept(&mut server, raw, number).await;
            assert_eq!(attempt(&mut events).await.0, number, "{fault:?}");
        }
        connected(&client).await;
        let reconnected = |event| matches!(event, Event::Reconnected { .. }).then_some(());
        until(&mut events, reconnected).await;
    }
}

/// Accepts the next connection, after the last one was broken (before the first attempt) or has been
/// refused by the client.
async fn break_or_accept(server: &mut RawServer, mut raw: RawPeer, attempt: u32) -> RawPeer {
    if attempt == 1 {
        return break_and_accept(server, raw).await;
    }
    assert!(raw.rest().await.is_empty());
    drop(raw);
    let mut next = accept(server).await;
    next.welcome(PYTHON).await.expect("the handshake works");
    next
}

#[tokio::test(start_paused = true)]
async fn the_number_of_attempts_holds_for_a_failing_on_connect() {
    for fault in FAULTS {
        let mut server = RawServer::new(PIPE);
        // With a timeout of 20 s, each failed attempt takes longer than the time after which a
        // connection that lasts begins a new row of attempts.
        let reconnect = config(Reconnect::fixed(seconds(1)).attempts(3));
        let reconnect = reconnect.on_connect_timeout(seconds(20)).heartbeat(None);
        let (client, mut raw) = server.client(reconnect, failing(fault, 1..100)).await;
        let mut events = client.events();
        for number in 1..=3 {
            raw = break_or_accept(&mut server, raw, number).await;
        }
        assert_eq!(gave_up(&mut events).await, 3, "{fault:?}");
        let reason = lost(&client).await;
        let is_refusal = reason.starts_with("refused by on_connect");
        assert!(is_refusal || reason == CloseReason::ConnectTimeout.to_string(), "{reason}");
        // A new series may succeed.
        client.retry(1);
        assert_eq!(attempt(&mut events).await.0, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_refusal_ends_the_attempts_also_as_a_cause() {
    /// An error of the application with a refusal inside.
    #[derive(Debug)]
    struct Login(BoxError);
    impl std::fmt::Display for Login {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the login failed")
        }
    }
    impl std::error::Error for Login {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&*self.0)
        }
    }
    for wrapped in [false, true] {
        let mut server = RawServer::new(PIPE);
        let connects = Arc::new(AtomicUsize::new(0));
        let router = Router::new().on_connect(move || -> Result<(), BoxError> {
            if connects.fetch_add(1, Ordering::Relaxed) == 0 {
                return Ok(());
            }
            let refusal = BoxError::from(Refuse::new("the account is locked"));
            Err(if wrapped { Box::new(Login(refusal)) } else { refusal })
        });
        let reconnect = config(Reconnect::fixed(seconds(1)));
        let (client, raw) = server.client(reconnect, router).await;
        let mut events = client.events();
        let _raw = break_and_accept(&mut server, raw).await;
        assert_eq!(gave_up(&mut events).await, 1);
        assert!(lost(&client).await.ends_with("the account is locked"));
        let end = client.peer().closed().await.reason;
        assert!(matches!(end, CloseReason::RefusedForGood(_)), "{end:?}");
        tokio::select! {
            _ = server.accept() => panic!("it tried again"),
            () = sleep(seconds(3600)) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_connect_fails_at_once_unless_it_is_tried_again() {
    for fault in FAULTS {
        let world = World::new(Router::new());
        let off = config(Reconnect::fixed(seconds(1)));
        let router = failing(fault, 0..1);
        let result = Client::connect_with(world.connector.clone(), off, router).await;
        let Err(error @ ConnectError::GivenUp { .. }) = result else { panic!("{result:?}") };
        assert!(error.is_transient(), "{error}");

        let initial = config(Reconnect::fixed(seconds(1)).initial(true));
        let router = failing(fault, 0..3);
        let client = Client::connect_with(world.connector.clone(), initial, router).await;
        let client = client.expect("the fourth attempt succeeds");
        assert!(client.is_connected());

        let initial = config(Reconnect::fixed(seconds(1)).initial(true).attempts(2));
        let start = Instant::now();
        let router = failing(fault, 0..100);
        let result = Client::connect_with(world.connector.clone(), initial, router).await;
        let Err(ConnectError::GivenUp { is_final, .. }) = result else { panic!("{result:?}") };
        assert!(!is_final && start.elapsed() >= seconds(2), "two more attempts were made");
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_refusal_is_that_of_the_first_connect_too() {
    let world = World::new(Router::new());
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let router = Router::new().on_connect(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Err::<(), _>(Refuse::new("not this server"))
    });
    let reconnect = config(Reconnect::fixed(seconds(1)).initial(true));
    let result = Client::connect_with(world.connector.clone(), reconnect, router).await;
    let Err(error) = result else { panic!("{result:?}") };
    assert!(!error.is_transient());
    let ConnectError::GivenUp { addr, reason, is_final } = error else { panic!("{error:?}") };
    assert_eq!(
        (addr.as_str(), reason.as_str(), is_final),
        ("memory", "refused for good by on_connect: not this server", true)
    );
    assert_eq!(calls.load(Ordering::Relaxed), 1, "no other attempt is made");
}

/// Answers the next message, which is a ping.
async fn pong(raw: &mut RawPeer) {
    let ping = raw.next().await.expect("a ping");
    raw.send(PONG.code(), ping.id().value(), "").await.expect("the client reads");
}

/// A connection that ends while `on_connect` runs is no decision of anybody.
#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_during_on_connect_is_tried_again() {
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(1)));
    let ask = |peer: Peer| async move { peer.ping().await.map(drop) };
    let connector = server.connector.clone();
    let connect = Client::connect_with(connector, reconnect.clone(), Router::new().on_connect(ask));
    let answer = async {
        let mut raw = accept(&mut server).await;
        raw.welcome(PYTHON).await.expect("the handshake works");
        pong(&mut raw).await;
        raw
    };
    let (client, raw) = tokio::join!(connect, answer);
    let client = client.expect("it connects");
    let mut raw = break_and_accept(&mut server, raw).await;
    raw.next().await.expect("the ping");
    let mut raw = break_and_accept(&mut server, raw).await;
    pong(&mut raw).await;
    connected(&client).await;
}

/// A proxy in front of a server that starts again answers with bytes of its own.
#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_handshake_are_tried_again_after_the_first_connect() {
    let mut server = RawServer::new(PIPE);
    let reconnect = config(Reconnect::fixed(seconds(1)));
    let (client, raw) = server.client(reconnect, Router::new()).await;
    drop(raw);
    let mut raw = accept(&mut server).await;
    raw.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.expect("the client reads");
    drop(raw);
    let mut raw = accept(&mut server).await;
    raw.say("[1, 2]").await.expect("the client reads");
    drop(raw);
    let mut raw = accept(&mut server).await;
    raw.welcome(PYTHON).await.expect("the handshake works");
    connected(&client).await;
}

/// The function of `token_with` is asked again, whatever it returned.
#[tokio::test(start_paused = true)]
async fn a_token_of_a_wrong_length_is_asked_for_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let provide = move || {
        let call = asked.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, BoxError>(if call == 1 { "" } else { "swordfish" }) }
    };
    let mut server = RawServer::new(PIPE);
    let reconnect = ClientConfig::default().reconnect(Reconnect::fixed(seconds(1)));
    let (client, raw) = server.client(reconnect.token_with(provide), Router::new()).await;
    let mut events = client.events();
    drop(raw);
    assert_eq!(attempt(&mut events).await.0, 1);
    assert_eq!(attempt(&mut events).await.0, 2);
    let mut raw = accept(&mut server).await;
    raw.welcome(PYTHON).await.expect("the handshake works");
    connected(&client).await;
}

/// Fails in the ways of a name that does not resolve, of a network that is down, of a full backlog, and
/// of a bug.
#[derive(Clone)]
struct Unlucky {
    connector: MemoryConnector,
    made: Arc<AtomicUsize>,
}

impl Connector for Unlucky {
    async fn connect(&self) -> io::Result<Stream> {
        let kind = match self.made.fetch_add(1, Ordering::Relaxed) {
            0 | 7.. => return self.connector.connect().await,
            1 => io::ErrorKind::NotFound,
            2 => io::ErrorKind::NetworkUnreachable,
            3 => io::ErrorKind::ConnectionRefused,
            4 => io::ErrorKind::InvalidInput,
            5 => io::ErrorKind::PermissionDenied,
            _ => panic!("planned"),
        };
        Err(kind.into())
    }

    fn target(&self) -> String {
        "memory".to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn no_failure_of_the_connector_is_final() {
    let mut server = RawServer::new(PIPE);
    let connector = Unlucky { connector: server.connector.clone(), made: Arc::default() };
    let reconnect = config(Reconnect::fixed(seconds(1)));
    let connect = Client::connect_with(connector, reconnect, Router::new());
    let welcome = async {
        let mut raw = accept(&mut server).await;
        raw.welcome(PYTHON).await.expect("the handshake works");
        raw
    };
    let (client, raw) = tokio::join!(connect, welcome);
    let client = client.expect("it connects");
    let mut events = client.events();
    drop(raw);
    for number in 1..=7 {
        assert_eq!(attempt(&mut events).await.0, number);
    }
    let mut raw = accept(&mut server).await;
    raw.welcome(PYTHON).await.expect("the handshake works");
    connected(&client).await;
}
