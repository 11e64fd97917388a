//! Promise 10: Veltix negotiates nothing that a Python peer would notice. Extensions use the `meta`
//! field of the handshake, and no frame is sent that such a peer does not know.

use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use veltix::{
    Client, ClientConfig, ConnectError, Event, HandshakeError, HandshakeFailure, Message, PING,
    PONG, Peer, Router, ServerConfig, all,
};

use super::{numbered, paused};
use crate::support::{
    ACK, ECHO, OTHER, PIPE, PYTHON, RawPeer, RawServer, World, frame, said, until,
};

/// The hello of a Python peer with another protocol version.
const INCOMPATIBLE: &str = r#"{"v": "9.0.0", "pv": "2.0", "meta": {}}"#;

/// Returns the number of bytes that the other side sends within ten seconds, which is shorter than
/// a heartbeat interval.
async fn heard(raw: &mut RawPeer) -> usize {
    let _ = tokio::time::timeout(Duration::from_secs(10), async {
        while raw.read_more().await.is_ok() {}
    })
    .await;
    raw.buffer.len()
}

/// Checks the fields of a hello that a Python peer reads. All other data is under `meta`.
fn check_hello(hello: &str) {
    let hello: serde_json::Value = serde_json::from_str(hello).expect("JSON");
    let keys: Vec<_> = hello.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["meta", "pv", "v"]);
    assert_eq!(hello["pv"], "1.0");
    assert!(hello["v"].is_string() && hello["meta"]["veltix"].is_object());
}

#[test]
pub(crate) fn a_server_says_nothing_but_its_hello_before_the_ack() {
    paused(async {
        let greet = |peer: Peer| peer.try_send(&numbered(OTHER, 1));
        let config = ServerConfig::default().handshake_timeout(Duration::from_secs(60));
        let world = World::with(config, PIPE, Router::new().on_connect(greet));
        let mut raw = world.silent().await;
        check_hello(&raw.hear().await.expect("the server's hello"));
        assert_eq!(heard(&mut raw).await, 0);
        let (_other, _) = world.join().await;
        let delivery = world.hub.broadcast(&numbered(OTHER, 0)).expect("it is encoded");
        assert_eq!(delivery.matched, 1, "only the other peer");
        assert_eq!(heard(&mut raw).await, 0);
        raw.say(PYTHON).await.expect("the server reads");
        assert_eq!(raw.hear().await.expect("the ack"), ACK);
        let greeting = raw.next().await.expect("a message");
        assert_eq!(greeting.code(), OTHER.code(), "frames follow the handshake");
    });
}

#[test]
pub(crate) fn a_client_says_nothing_but_its_hello_before_the_ack() {
    paused(async {
        let mut server = RawServer::new(PIPE);
        let config = ClientConfig::default().handshake_timeout(Duration::from_secs(60));
        let router = Router::new().on_connect(|peer: Peer| peer.try_send(&numbered(OTHER, 1)));
        let client = tokio::spawn(Client::connect_with(server.connector.clone(), config, router));
        let mut raw = server.accept().await;
        assert_eq!(heard(&mut raw).await, 0, "the server sends first");
        raw.say(PYTHON).await.expect("the client reads");
        check_hello(&raw.hear().await.expect("the client's hello"));
        assert_eq!(heard(&mut raw).await, 0, "no frame before the ack");
        raw.say(ACK).await.expect("the client reads");
        assert_eq!(raw.next().await.expect("a message").code(), OTHER.code());
        client.await.expect("no panic").expect("it connects");
    });
}

#[test]
pub(crate) fn what_follows_the_handshake_in_one_piece_is_the_first_frame() {
    paused(async {
        let (handled, mut handles) = unbounded_channel();
        let router = |handled: tokio::sync::mpsc::UnboundedSender<u16>| {
            Router::new().fallback(move |message: Message| handled.send(message.code()))
        };
        let world = World::new(router(handled.clone()));
        let mut raw = world.silent().await;
        raw.write(&[&said(PYTHON)[..], &frame(300, 0, "early")].concat()).await.expect("it reads");
        assert_eq!(handles.recv().await, Some(300));

        let mut server = RawServer::new(PIPE);
        let config = ClientConfig::default();
        let connecting = Client::connect_with(server.connector.clone(), config, router(handled));
        let client = tokio::spawn(connecting);
        let mut raw = server.accept().await;
        raw.say(PYTHON).await.expect("the client reads");
        raw.hear().await.expect("the client's hello");
        raw.write(&[&said(ACK)[..], &frame(301, 0, "early")].concat()).await.expect("it reads");
        assert_eq!(handles.recv().await, Some(301));
        client.await.expect("no panic").expect("it connects");
    });
}

#[test]
pub(crate) fn another_protocol_version_meets_silence() {
    paused(async {
        let world = World::new(Router::new());
        let mut events = world.hub.events();
        let mut raw = world.silent().await;
        raw.hear().await.expect("the server's hello");
        raw.say(INCOMPATIBLE).await.expect("the server reads");
        assert!(
            raw.read_more().await.is_err() && raw.buffer.is_empty(),
            "no byte is sent before the end"
        );
        let failed = |event| match event {
            Event::HandshakeFailed { reason, .. } => Some(reason),
            _ => None,
        };
        let theirs = HandshakeError::IncompatibleVersion { theirs: "2.0".to_owned() };
        assert_eq!(until(&mut events, failed).await, HandshakeFailure::Protocol(theirs.clone()));
        assert_eq!(world.hub.count(all()), Ok(0));

        let mut server = RawServer::new(PIPE);
        let config = ClientConfig::default();
        let connecting = Client::connect_with(server.connector.clone(), config, Router::new());
        let client = tokio::spawn(connecting);
        let mut raw = server.accept().await;
        raw.say(INCOMPATIBLE).await.expect("the client reads");
        assert!(
            raw.read_more().await.is_err() && raw.buffer.is_empty(),
            "no byte is sent before the end"
        );
        match client.await.expect("no panic") {
            Err(ConnectError::Handshake { source, .. }) => assert_eq!(source, theirs),
            other => panic!("{other:?}"),
        }
    });
}

/// Sends a peer every kind of message that it can receive, and returns their codes and ids. The ids
/// of the raw side's own messages begin with `id`.
async fn life(raw: &mut RawPeer, peer: Peer, id: u16) -> Vec<(u16, u16)> {
    let call = tokio::spawn(peer.request(&numbered(OTHER, 1)));
    let ping = tokio::spawn(peer.ping());
    peer.send(&numbered(OTHER, 2)).await.expect("it is connected");
    peer.try_send(&numbered(OTHER, 3)).expect("room");
    raw.send(PING.code(), id, "").await.expect("the other side reads");
    raw.send(ECHO.code(), id + 1, "").await.expect("the other side reads");
    let mut said = Vec::new();
    while said.last() != Some(&(ECHO.code(), id + 1)) {
        let message = raw.next().await.expect("a message");
        said.push((message.code(), message.id().value()));
    }
    for (code, id) in said.clone() {
        if code == PING.code() {
            raw.send(PONG.code(), id, "").await.expect("the other side reads");
        } else if code == OTHER.code() && id % 0x8000 != 0 {
            raw.send(code, id, "").await.expect("the other side reads");
        }
    }
    call.await.expect("no panic").expect("an answer");
    ping.await.expect("no panic").expect("a pong");
    // The peer is silent until the heartbeat sends a ping.
    let message = raw.next().await.expect("a ping");
    said.push((message.code(), message.id().value()));
    said
}

fn check_life(said: &[(u16, u16)], plain: u16, id: u16) {
    let known = [PING, PONG, ECHO, OTHER].map(veltix::MessageType::code);
    assert!(said.iter().all(|(code, _)| known.contains(code)), "{said:?}");
    let (calls, others): (Vec<_>, Vec<_>) =
        said.iter().partition(|(_, id)| (plain + 1..=plain + 0x7fff).contains(id));
    let calls: Vec<_> = calls.into_iter().map(|(code, _)| code).collect();
    assert_eq!(calls, [OTHER.code(), PING.code()], "the call and the ping");
    let plain_ones = others.iter().filter(|(_, id)| *id == plain).map(|(code, _)| *code);
    assert!(plain_ones.eq([OTHER.code(), OTHER.code(), PING.code()]), "{others:?}");
    assert!(others.contains(&(PONG.code(), id)) && others.contains(&(ECHO.code(), id + 1)));
}

#[test]
pub(crate) fn a_server_sends_a_python_client_only_what_it_knows() {
    paused(async {
        let world = World::new(Router::new().route(ECHO, |message: Message| message));
        let mut raw = world.silent().await;
        raw.shake_hands_as_python().await.expect("the handshake works");
        let peer = world.newest();
        assert!(!peer.hello().is_native());
        check_life(&life(&mut raw, peer, 5).await, 32_768, 5);
        world.hub.broadcast(&numbered(OTHER, 9)).expect("it is encoded");
        let broadcast = raw.next().await.expect("a message");
        assert_eq!((broadcast.code(), broadcast.id().value()), (OTHER.code(), 32_768));
        drop(world.hub.shutdown());
        assert!(raw.all().await.is_empty(), "a shutdown sends only the end of the stream");
    });
}

#[test]
pub(crate) fn a_client_sends_a_python_server_only_what_it_knows() {
    paused(async {
        let mut server = RawServer::new(PIPE);
        let router = Router::new().route(ECHO, |message: Message| message);
        let (client, mut raw) = server.client(ClientConfig::default(), router).await;
        check_life(&life(&mut raw, client.peer(), 40_000).await, 0, 40_000);
        drop(client);
        assert!(raw.all().await.is_empty(), "a close sends only the end of the stream");
    });
}

/// Without this rule, two routers that reply to every message would answer each other forever.
#[test]
pub(crate) fn the_reply_to_a_message_that_asked_nothing_is_not_replied_to() {
    paused(async {
        let echo = || Router::new().route(ECHO, |message: Message| message);
        let world = World::new(echo());
        let client = world.client(echo()).await;
        world.newest().send(&numbered(ECHO, 1)).await.expect("it is connected");
        client.send(&numbered(ECHO, 2)).await.expect("it is connected");
        client.request(&numbered(ECHO, 3)).await.expect("an answer");
        for peer in [world.newest(), client.peer()] {
            let stats = peer.stats();
            assert!(stats.sent.accepted <= 3, "{stats:?}");
            assert_eq!(stats.received.replies_discarded, 1);
        }
    });
}
