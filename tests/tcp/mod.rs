//! Real sockets on the loopback, and so the real clock. Behaviour that does not need sockets is
//! tested in memory; behaviour that all transports share is tested in `conformance`.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use veltix::transport::{PeerAddr, Stream};
use veltix::{
    BindError, Client, ClientConfig, CloseReason, ConnectError, Disconnected, Event,
    HandshakeError, HandshakeFailure, Hub, Message, Peer, Reconnect, Router, SendError, Server,
    ServerConfig, all,
};

use crate::support::{ECHO, OTHER, PYTHON, RawPeer, bind_again, frame, said, until};

/// Starts a server on a free port and returns its address.
async fn serve(config: ServerConfig, router: Router) -> (Hub, String) {
    let server = Server::bind(config.addr("127.0.0.1:0"), router).await.expect("a free port");
    let hub = server.hub();
    tokio::spawn(server.run());
    let addr = hub.local_addr().to_string();
    (hub, addr)
}

/// Creates a router that sends ECHO back and broadcasts OTHER.
fn chat() -> Router {
    Router::new().route(ECHO, |body: Bytes| body).route(OTHER, |hub: Hub, message: Message| {
        hub.broadcast(&message)?;
        Ok::<_, SendError>(())
    })
}

async fn connect(addr: &str) -> Result<Client, ConnectError> {
    Client::connect(ClientConfig::default().addr(addr), Router::new()).await
}

/// Opens a connection without a client.
async fn dial(addr: &str) -> TcpStream {
    TcpStream::connect(addr).await.expect("the server listens")
}

fn raw(stream: TcpStream) -> RawPeer {
    let addr = PeerAddr::Tcp(stream.peer_addr().expect("it is connected"));
    let (reader, writer) = stream.into_split();
    RawPeer::new(Stream::new(reader, writer, addr))
}

#[tokio::test]
async fn a_taken_port_is_told_and_what_to_do() {
    // No other test uses this address, so no process takes the port while it is free.
    let mine = if cfg!(target_os = "linux") { "127.0.0.2:0" } else { "127.0.0.1:0" };
    let server = Server::bind(ServerConfig::default().addr(mine), Router::new()).await.unwrap();
    let (hub, addr) = (server.hub(), server.local_addr().to_string());
    tokio::spawn(server.run());
    let config = ServerConfig::default().addr(&addr);
    let error = Server::bind(config.clone(), Router::new()).await.unwrap_err();
    let BindError::AddressInUse { addr: told, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*told, addr);
    let text = error.to_string();
    assert!(text.starts_with(&addr) && text.contains("bind another port (port 0"), "{text}");
    assert!(error.source().is_some());
    // A process that asks to share the port does not get it either: SO_REUSEPORT is off.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.set_reuseport(true).unwrap();
    assert!(socket.bind(addr.parse().unwrap()).is_err());
    // A server that has stopped releases its port at once.
    let client = connect(&addr).await.unwrap();
    hub.shutdown().await;
    client.peer().closed().await;
    drop(bind_again(config, Router::new).await);
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_is_told() {
    for addr in ["192.0.2.1:0", "127.0.0.1"] {
        let error = Server::bind(ServerConfig::default().addr(addr), Router::new()).await;
        let Err(BindError::Io { addr: told, .. }) = error else { panic!("{error:?}") };
        assert_eq!(told, addr);
    }
}

#[tokio::test]
async fn nobody_there_is_told_and_what_to_do() {
    // The port is bound without a listener, so that no other process takes it meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = socket.local_addr().unwrap().to_string();
    for addr in [nobody.as_str(), "127.0.0.1"] {
        let error = connect(addr).await.unwrap_err();
        let ConnectError::Unreachable { addr: told, .. } = &error else { panic!("{error:?}") };
        assert_eq!(told, addr);
        assert!(error.to_string().contains("check the address, and whether the server runs"));
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn a_missing_port_is_named() {
    for addr in ["localhost", "127.0.0.1", "[::1]"] {
        let expected = format!("`{addr}` has no port: write host:port");
        // No attempt can ever succeed, so the client makes no other one.
        let reconnect = Reconnect::fixed(Duration::ZERO).initial(true);
        let config = ClientConfig::default().addr(addr).reconnect(reconnect);
        let error = Client::connect(config, Router::new()).await.unwrap_err();
        assert!(!error.is_transient());
        assert_eq!(error.source().expect("a cause").to_string(), expected);
        let bound = Server::bind(ServerConfig::default().addr(addr), Router::new()).await;
        assert_eq!(bound.unwrap_err().source().expect("a cause").to_string(), expected);
    }
}

#[tokio::test]
async fn another_version_is_told_on_both_sides() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let (client, ()) = tokio::join!(connect(&addr), async {
        let mut raw = raw(listener.accept().await.expect("a client comes").0);
        raw.say(r#"{"v": "9.0.0", "pv": "2.0", "meta": {}}"#).await.expect("it listens");
        raw.rest().await;
    });
    let error = client.unwrap_err();
    let ConnectError::Handshake { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*source, HandshakeError::IncompatibleVersion { theirs: "2.0".to_owned() });
    assert!(!error.is_transient());
    assert!(error.to_string().contains("version \"2.0\", but this side speaks 1.x"), "{error}");

    let (hub, addr) = serve(ServerConfig::default(), chat()).await;
    let mut events = hub.events();
    let mut old = raw(dial(&addr).await);
    old.say(r#"{"v": "1.0.0", "pv": "0.9", "meta": {}}"#).await.unwrap();
    let failed = |event| match event {
        Event::HandshakeFailed { addr, reason } => Some((addr, reason)),
        _ => None,
    };
    let (who, reason) = until(&mut events, failed).await;
    assert!(who.socket_addr().is_some());
    let theirs = "0.9".to_owned();
    let expected = HandshakeError::IncompatibleVersion { theirs };
    assert_eq!(reason, HandshakeFailure::Protocol(expected));
}

#[tokio::test]
async fn one_address_has_so_many_pending_handshakes() {
    let config = ServerConfig::default()
        .max_pending_handshakes(512, 3)
        .handshake_timeout(Duration::from_secs(3600));
    let (hub, addr) = serve(config, chat()).await;
    let mut events = hub.events();
    let mut pending = Vec::new();
    for _ in 0..5 {
        pending.push(raw(dial(&addr).await));
    }
    let failed = |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    };
    for _ in 0..2 {
        assert_eq!(until(&mut events, failed).await, HandshakeFailure::Shed);
    }
    // Three remain, and each client that completes its handshake is admitted.
    let joined = join_all(pending.iter_mut().map(RawPeer::shake_hands)).await;
    assert_eq!(joined.iter().filter(|joined| joined.is_ok()).count(), 3);
    assert_eq!(hub.count(all()), Ok(3));
}

#[tokio::test]
async fn a_reset_is_an_end_like_others_and_told_once() {
    let (tell, mut told) = unbounded_channel();
    let on_disconnect = move |peer: Peer, end: Disconnected| {
        tell.send((peer, end)).expect("the test listens");
    };
    let (hub, addr) = serve(ServerConfig::default(), chat().on_disconnect(on_disconnect)).await;
    let bystander = connect(&addr).await.unwrap();
    let mut stream = dial(&addr).await;
    let question = frame(ECHO.code(), 7, "hello");
    stream.write_all(&[&said(PYTHON)[..], &question].concat()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"hello") {
        assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
    }
    // Without lingering, the socket closes with a reset.
    stream.set_zero_linger().unwrap();
    drop(stream);
    let (peer, end) = told.recv().await.unwrap();
    assert_eq!(end.reason, CloseReason::Io(std::io::ErrorKind::ConnectionReset));
    assert_eq!((end.received.handled, end.undelivered), (1, 0));
    assert_eq!(peer.closed().await, end);
    bystander.request(&Message::empty(ECHO)).await.unwrap();
    assert_eq!(hub.count(all()), Ok(1));
    hub.shutdown().await;
    let (last, end) = told.recv().await.unwrap();
    assert_eq!(end.reason, CloseReason::Shutdown);
    assert_ne!(last, peer);
    assert!(told.try_recv().is_err(), "once each");
}

#[tokio::test]
async fn a_hundred_clients_come_chat_and_leave() {
    const CLIENTS: usize = 100;
    // All connections come from one address, at the same time.
    let config = ServerConfig::default().max_pending_handshakes(CLIENTS, CLIENTS);
    let (hub, addr) = serve(config, chat()).await;
    let mut events = hub.events();
    let connects = (0..CLIENTS).map(|_| async {
        // One client is read after the other, and each stream has room for all numbers until then.
        let config = ClientConfig::default().addr(&addr).inbox(CLIENTS, 1 << 20);
        let (router, messages) = Router::new().messages();
        Ok::<_, ConnectError>((Client::connect(config, router).await?, messages))
    });
    let clients = try_join_all(connects).await.unwrap();
    let (clients, mut heard): (Vec<_>, Vec<_>) = clients.into_iter().unzip();
    assert_eq!(hub.count(all()), Ok(CLIENTS));
    for (number, client) in clients.iter().enumerate() {
        client.send(&Message::from_text(OTHER, number.to_string())).await.unwrap();
    }
    for messages in &mut heard {
        let mut numbers = Vec::new();
        for _ in 0..CLIENTS {
            let message = messages.next().await.unwrap();
            numbers.push(message.text().unwrap().parse::<usize>().unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(
            numbers,
            (0..CLIENTS).collect::<Vec<_>>(),
            "each client received every number once"
        );
    }
    for (number, client) in clients.into_iter().enumerate() {
        // The clients leave in both ways.
        if number % 2 == 0 {
            client.close().await;
        }
    }
    let left = |event| match event {
        Event::Disconnected { outcome, .. } => Some(outcome),
        _ => None,
    };
    for _ in 0..CLIENTS {
        let outcome = until(&mut events, left).await;
        assert_eq!((outcome.reason, outcome.undelivered), (CloseReason::PeerClosed, 0));
    }
    assert_eq!(hub.count(all()), Ok(0));
}

/// Values that the kernel has accepted cannot be superseded, so a setting limits how much it
/// accepts.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn max_unsent_keeps_values_out_of_the_systems_hands() {
    let unbounded = written_to_who_does_not_read(ServerConfig::default()).await;
    let bounded = written_to_who_does_not_read(ServerConfig::default().max_unsent(16 * 1024)).await;
    assert!(bounded < unbounded / 2, "{bounded} KiB with a limit, {unbounded} without");
}

/// Returns the KiB that are written to a peer that does not read, until its outbox has to keep
/// frames.
#[cfg(target_os = "linux")]
async fn written_to_who_does_not_read(config: ServerConfig) -> u64 {
    let (hub, addr) = serve(config, chat()).await;
    let mut events = hub.events();
    let mut deaf = raw(dial(&addr).await);
    deaf.shake_hands().await.unwrap();
    let connected = |event| match event {
        Event::Connected { peer } => Some(peer),
        _ => None,
    };
    let peer = until(&mut events, connected).await;
    let value = Message::new(OTHER, vec![0; 1024]).latest(());
    loop {
        peer.send(&value).await.unwrap();
        let sent = peer.stats().sent;
        if sent.dropped_superseded > 100 {
            return sent.written;
        }
        tokio::task::yield_now().await;
    }
}
