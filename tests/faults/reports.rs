//! The report of a protocol error to the peer that caused it.

use veltix::{
    ClientConfig, ClientStatus, CloseReason, Event, Message, ProtocolError, RequestError, Router,
};
use veltix_core::{PROTOCOL_ERROR, ProtocolReport};

use super::Scene;
use crate::support::{
    Door, ECHO, OTHER, PIPE, PYTHON, REPORTING, RawPeer, RawServer, frame, quiet, until,
};

const OVERSIZE: ProtocolError = ProtocolError::Oversize { total: 99, limit: 50 };

/// Returns a client and its server, which says this hello.
async fn client(server: &mut RawServer, hello: &str) -> (veltix::Client, RawPeer) {
    let connector = server.connector.clone();
    let connecting =
        veltix::Client::connect_with(connector, ClientConfig::default(), Router::new());
    let (client, raw) = tokio::join!(connecting, async {
        let mut raw = server.accept().await;
        raw.welcome(hello).await.expect("the handshake works");
        raw
    });
    (client.expect("it connects"), raw)
}

async fn report(raw: &mut RawPeer, error: ProtocolError) {
    let body = ProtocolReport(error).body();
    raw.send(PROTOCOL_ERROR.code(), 32_768, body).await.expect("the client reads");
}

/// A peer that understands the report receives it behind the answers that were queued, and before the
/// answers of handlers that still run.
#[tokio::test(start_paused = true)]
async fn a_server_tells_a_peer_why_it_reads_no_further() {
    let large = (11_u32 << 20).to_be_bytes();
    let oversize = [b"VX\0\0\xc8", &large[..], &[0; 6]].concat();
    let total = 15 + u64::from(11_u32 << 20);
    let cases: [(&[u8], ProtocolError); 3] = [
        (b"GE", ProtocolError::BadMagic { found: *b"GE" }),
        (&oversize, ProtocolError::Oversize { total, limit: 10 << 20 }),
        (
            &frame(ECHO.code(), 7, "whole")[..17],
            ProtocolError::Truncated { received: 17, expected: 20 },
        ),
    ];
    for (bytes, error) in cases {
        let door = Door::new();
        let mut scene = Scene::new(Router::new().route(OTHER, {
            let door = door.clone();
            move |message: Message| {
                let door = door.clone();
                async move {
                    door.pass().await;
                    message
                }
            }
        }))
        .await;
        let mut raw = scene.world.silent().await;
        raw.shake_hands_saying(REPORTING).await.expect("the handshake works");
        let good = [frame(ECHO.code(), 5, "before"), frame(OTHER.code(), 6, "after")].concat();
        raw.write(&[&good, bytes].concat()).await.expect("it reads");
        raw.end();
        let before = raw.next().await.expect("the answer");
        assert_eq!(before.text().unwrap(), "before");
        let report = raw.next().await.expect("the report");
        assert_eq!((report.code(), report.id().value()), (PROTOCOL_ERROR.code(), 32_768));
        assert_eq!(ProtocolReport::read(report.body()), Some(ProtocolReport(error)));
        door.open(1);
        let after = raw.all().await;
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].text().unwrap(), "after");
        let end = scene.next_end().await;
        assert_eq!(end.reason, CloseReason::Protocol(error));
        assert_eq!((end.sent.accepted, end.sent.written), (3, 3));
        scene.check_bystander().await;
    }
}

/// Neither a Python peer nor one of ours that does not ask for it receives a report.
#[tokio::test(start_paused = true)]
async fn no_other_peer_receives_a_report() {
    for hello in [PYTHON, crate::support::NATIVE, crate::support::LISTENING] {
        let mut scene = Scene::new(Router::new()).await;
        let mut raw = scene.world.silent().await;
        raw.shake_hands_saying(hello).await.expect("the handshake works");
        raw.write(b"nonsense").await.expect("it reads");
        raw.end();
        assert!(raw.all().await.is_empty(), "{hello}");
        let found = ProtocolError::BadMagic { found: *b"no" };
        assert_eq!(scene.next_end().await.reason, CloseReason::Protocol(found));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_learns_why_its_server_closed() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, REPORTING).await;
    let call = tokio::spawn(client.request(&Message::from_text(ECHO, "before")));
    let late = tokio::spawn(client.request(&Message::from_text(ECHO, "never answered")));
    let question = raw.next().await.expect("the call");
    report(&mut raw, OVERSIZE).await;
    report(&mut raw, ProtocolError::BadMagic { found: *b"no" }).await;
    quiet().await;
    assert!(client.is_connected(), "answers may follow");
    raw.send(ECHO.code(), question.id().value(), "after").await.expect("the client reads");
    assert_eq!(call.await.unwrap().expect("an answer").text().unwrap(), "after");
    drop(raw);
    let end = client.peer().closed().await;
    assert_eq!(end.reason, CloseReason::ReportedByPeer(OVERSIZE), "the first report counts");
    assert_eq!((end.received.received, end.received.handled), (3, 3));
    assert!(matches!(late.await.unwrap(), Err(RequestError::ConnectionLost)));
    let mut status = client.status();
    let lost = status.wait_for(|status| matches!(status, ClientStatus::Lost { .. })).await.unwrap();
    let ClientStatus::Lost { reason } = &*lost else { panic!("{lost:?}") };
    assert!(reason.contains("received a frame of 99 bytes and accepts 50"), "{reason}");
}

/// A close by this side stays a close by this side.
#[tokio::test(start_paused = true)]
async fn a_report_does_not_hide_another_reason() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, REPORTING).await;
    report(&mut raw, OVERSIZE).await;
    quiet().await;
    let peer = client.peer();
    assert_eq!(peer.close().await.reason, CloseReason::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_read_is_counted_as_rejected() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, REPORTING).await;
    raw.send(PROTOCOL_ERROR.code(), 32_768, vec![2; 5]).await.expect("the client reads");
    raw.send(PROTOCOL_ERROR.code(), 32_768, vec![9; 17]).await.expect("the client reads");
    quiet().await;
    let received = client.peer().stats().received;
    assert_eq!((received.received, received.rejected), (2, 2));
    drop(raw);
    assert_eq!(client.peer().closed().await.reason, CloseReason::PeerClosed);
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_the_extension_sends_an_unknown_code() {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, _) = scene.raw().await;
    raw.send(PROTOCOL_ERROR.code(), 0, ProtocolReport(OVERSIZE).body()).await.unwrap();
    let unknown = |event| match event {
        Event::UnknownCode { code, .. } => Some(code),
        _ => None,
    };
    assert_eq!(until(&mut scene.events, unknown).await, PROTOCOL_ERROR.code());
    drop(raw);
    assert_eq!(scene.next_end().await.reason, CloseReason::PeerClosed);
}

/// Passes the handshake of a client and a server on, and returns both ends.
async fn between(server: &mut RawServer, scene: &Scene) -> (veltix::Client, RawPeer, RawPeer) {
    let connector = server.connector.clone();
    let connecting =
        veltix::Client::connect_with(connector, ClientConfig::default(), Router::new());
    let (client, (near, far)) = tokio::join!(connecting, async {
        let (mut near, mut far) = (server.accept().await, scene.world.silent().await);
        near.say(&far.hear().await.unwrap()).await.unwrap();
        far.say(&near.hear().await.unwrap()).await.unwrap();
        near.say(&far.hear().await.unwrap()).await.unwrap();
        (near, far)
    });
    (client.expect("it connects"), near, far)
}

/// Both ends are of this crate, and the network damages a frame between them.
#[tokio::test(start_paused = true)]
async fn both_ends_agree_on_the_reason() {
    let mut scene = Scene::new(Router::new()).await;
    let mut server = RawServer::new(PIPE);
    let (client, mut near, mut far) = between(&mut server, &scene).await;
    client.send(&Message::from_text(ECHO, "damaged")).await.unwrap();
    let sent = near.next().await.expect("the message");
    let mut bytes = frame(sent.code(), sent.id().value(), sent.body().clone());
    bytes[16] = b'A';
    far.write(&bytes).await.unwrap();
    let report = far.next().await.expect("the report");
    near.send(report.code(), report.id().value(), report.body().clone()).await.unwrap();
    drop((near, far));
    let CloseReason::Protocol(error) = scene.next_end().await.reason else { panic!("another end") };
    assert!(matches!(error, ProtocolError::ChecksumMismatch { .. }), "{error:?}");
    assert_eq!(client.peer().closed().await.reason, CloseReason::ReportedByPeer(error));
    scene.check_bystander().await;
}
