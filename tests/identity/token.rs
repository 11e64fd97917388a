//! The source of a client's token, and the transports over which it is sent.

use std::fs;
use std::future::{pending, ready};
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use veltix::transport::{Connector, MemoryConnector, PeerAddr, Stream};
use veltix::{
    Client, ClientConfig, ClientStatus, ConfigError, ConnectError, Event, HandshakeInfo, Reconnect,
    Refuse, Router, Server, ServerConfig, Token, all, limits,
};

use super::{SECRET, authenticate, known, refused};
use crate::support::alone::{Alone, alone};
use crate::support::{PIPE, PYTHON, RawServer, TempDir, World, until};

async fn over_tcp() -> String {
    let router = Router::new().authenticate(authenticate);
    let config = ServerConfig::default().addr("127.0.0.1:0");
    let server = Server::bind(config, router).await.expect("a free port");
    let addr = server.local_addr().to_string();
    tokio::spawn(server.run());
    addr
}

/// No network is involved.
#[tokio::test]
async fn between_loopback_addresses_it_needs_no_tls() {
    let addr = over_tcp().await;
    let port = addr.rsplit(':').next().expect("it has a port");
    for addr in [addr.clone(), format!("localhost:{port}"), format!("[::ffff:127.0.0.1]:{port}")] {
        let client = Client::connect(known().addr(&addr), Router::new()).await;
        client.expect("it is let in").ping().await.expect("it is let in");
    }
}

#[tokio::test]
async fn without_tls_it_is_not_sent_over_a_network() {
    // The addresses are those of examples. No connection is tried, and no token is asked for.
    for addr in ["192.0.2.1:80", "[2001:db8::1]:80"] {
        let asked = || -> std::future::Ready<Result<Token, String>> { panic!("it is not asked") };
        for config in [known(), ClientConfig::default().token_with(asked)] {
            let refused = Client::connect(config.addr(addr), Router::new()).await;
            let Err(ConnectError::Config(error)) = refused else { panic!("{refused:?}") };
            assert_eq!(error, ConfigError::PlaintextToken);
            let says = error.to_string();
            for word in ["ClientConfig::tls", "allow_plaintext_token"] {
                assert!(says.contains(word), "{says}");
            }
        }
    }
}

/// The address of the connection decides, and not the name.
#[test]
fn a_name_of_another_address_is_a_network() {
    let apart = Alone::within(Duration::from_secs(60)).under(["unshare", "--net", "--mount"]);
    alone!(apart.needs("ip").needs("mount"), async {
        let run = |program: &str, words: &str| {
            let done = Command::new(program).args(words.split(' ')).output().expect("it starts");
            assert!(done.status.success(), "{program} {words}: {done:?}");
        };
        let dir = TempDir::new();
        let hosts = dir.path().join("hosts");
        fs::write(&hosts, "127.0.0.1 here\n10.9.8.7 localhost\n").unwrap();
        run("mount", &format!("--bind {} /etc/hosts", hosts.display()));
        run("ip", "link set lo up");
        run("ip", "addr add 10.9.8.7/32 dev lo");
        let router = Router::new().authenticate(authenticate);
        let config = ServerConfig::default().addr("0.0.0.0:0");
        let server = Server::bind(config, router).await.expect("a free port");
        let port = server.local_addr().socket_addr().expect("it is TCP").port();
        tokio::spawn(server.run());
        let connect = |name: &str, config: ClientConfig| {
            Client::connect(config.addr(format!("{name}:{port}")), Router::new())
        };
        connect("here", known()).await.expect("it is the loopback");
        let refused = connect("localhost", known()).await;
        let Err(ConnectError::Config(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error, ConfigError::PlaintextToken);
        connect("localhost", known().allow_plaintext_token()).await.expect("it is allowed");
    });
}

/// A transport of an application, with an application-defined name for its streams.
struct Foreign(MemoryConnector);

impl Connector for Foreign {
    async fn connect(&self) -> io::Result<Stream> {
        let (reader, writer) = self.0.connect().await?.into_parts();
        Ok(Stream::new(reader, writer, PeerAddr::Memory(1)))
    }

    fn target(&self) -> String {
        "a serial line".to_owned()
    }
}

#[tokio::test]
async fn a_transport_of_ones_own_is_a_network() {
    let world = World::new(Router::new().authenticate(authenticate));
    let connect = async |config| {
        Client::connect_with(Foreign(world.connector.clone()), config, Router::new()).await
    };
    let refused = connect(known()).await;
    let Err(ConnectError::Config(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error, ConfigError::PlaintextToken);
    let client = connect(known().allow_plaintext_token()).await.expect("it is let in");
    client.ping().await.expect("it is let in");
}

#[tokio::test]
async fn an_impossible_token_is_told_before_anything_is_sent() {
    for length in [0, limits::MAX_TOKEN_LEN + 1] {
        let config = ClientConfig::default().token("x".repeat(length));
        let RawServer { connector, .. } = RawServer::new(PIPE);
        let refused = Client::connect_with(connector, config, Router::new()).await;
        let Err(ConnectError::Config(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error, ConfigError::TokenLength { length, limit: limits::MAX_TOKEN_LEN });
    }
}

#[tokio::test]
async fn a_python_server_gets_it_in_meta_where_it_ignores_it() {
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let (client, hello) =
        tokio::join!(Client::connect_with(connector, known(), Router::new()), async {
            let mut raw = server.accept().await;
            raw.say(PYTHON).await.expect("the client reads");
            let hello = raw.hear().await.expect("the client's hello");
            raw.say(crate::support::ACK).await.expect("the client reads");
            (raw, hello)
        });
    client.expect("it connects");
    assert!(hello.1.contains(r#""protocol_error":true,"token":"swordfish"}"#), "{}", hello.1);
}

#[test]
fn nothing_of_it_is_printed() {
    let token = Token::from(SECRET);
    let printed = format!("{token:?} {:?}", known());
    assert!(!printed.contains(SECRET), "{printed}");
}

/// A token that expires after its first use.
#[tokio::test(start_paused = true)]
async fn a_token_that_expires_is_asked_for_before_each_attempt() {
    const PAUSE: Duration = Duration::from_secs(1);
    let (issued, shown) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
    let world = World::new(Router::new().authenticate(move |info: HandshakeInfo| {
        let expected = shown.fetch_add(1, Ordering::Relaxed).to_string();
        ready(match info.require_token() {
            Ok(token) if token.is(&expected) => Ok(()),
            _ => Err(Refuse::new("it has expired")),
        })
    }));
    let issue = {
        let issued = Arc::clone(&issued);
        move || {
            ready(match issued.fetch_add(1, Ordering::Relaxed) {
                0 => Ok("0"),
                // The token service fails once and is available again for the next attempt.
                1 => Err("nobody is there"),
                2 => panic!("nobody is there"),
                _ => Ok("1"),
            })
        }
    };
    let config = ClientConfig::default().reconnect(Reconnect::fixed(PAUSE)).token_with(issue);
    let client = world.client_with(config, Router::new()).await;
    let mut events = client.events();
    let began = Instant::now();
    world.hub.close(all(), "again").unwrap();
    until(&mut events, |event| matches!(event, Event::Reconnected { .. }).then_some(())).await;
    assert_eq!(*client.status().borrow(), ClientStatus::Connected);
    assert_eq!(issued.load(Ordering::Relaxed), 4);
    assert_eq!(began.elapsed(), 3 * PAUSE, "one pause before each attempt");
}

#[tokio::test(start_paused = true)]
async fn without_a_token_from_its_function_nobody_connects() {
    let world = World::new(Router::new().authenticate(authenticate));
    let config = ClientConfig::default;
    let error = refused(&world, config().token_with(|| ready(Err::<Token, _>("locked")))).await;
    assert!(error.to_string().ends_with("locked"), "{error}");
    let panics = || -> std::future::Ready<Result<Token, String>> { panic!("no future") };
    let error = refused(&world, config().token_with(panics)).await;
    assert!(matches!(error, ConnectError::Token { .. }) && error.is_transient(), "{error:?}");
    assert!(error.to_string().contains("no future"), "{error}");
    let long = "x".repeat(limits::MAX_TOKEN_LEN + 1);
    let error =
        refused(&world, config().token_with(move || ready(Ok::<_, String>(long.clone())))).await;
    let ConnectError::Token { source, .. } = &error else { panic!("{error:?}") };
    let too_long = matches!(source.downcast_ref(), Some(ConfigError::TokenLength { .. }));
    assert!(too_long && error.is_transient(), "the function may return another one: {error:?}");
    let error = refused(&world, config().token_with(pending::<Result<Token, String>>)).await;
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn one_of_a_function_needs_tls_on_a_network_too() {
    let config = || ClientConfig::default().token_with(|| ready(Ok::<_, String>(SECRET)));
    let world = World::new(Router::new().authenticate(authenticate));
    let far = Foreign(world.connector.clone());
    let refused = Client::connect_with(far, config(), Router::new()).await;
    let Err(ConnectError::Config(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error, ConfigError::PlaintextToken);
    let client = Client::connect(config().addr(over_tcp().await), Router::new()).await;
    client.expect("it is let in").ping().await.expect("it is let in");
}
