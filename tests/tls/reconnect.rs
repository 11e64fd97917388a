//! A client that reconnects over TLS: only its authenticated server can make it stop.

use std::time::Duration;

use rcgen::date_time_ymd;
use tokio::time::timeout;
use veltix::tls::ServerTls;
use veltix::transport::Listener;
use veltix::{Client, ClientConfig, Event, EventStream, Reconnect, Router};

use crate::support::certificates::{Authority, NAME};
use crate::support::{PATIENCE, PIPE, PYTHON, RawPeer, RawServer, until};

/// A fatal alert: the answer to a failed TLS handshake, which an attacker on the path can also
/// send.
const HANDSHAKE_FAILURE: &[u8] = &[21, 3, 3, 0, 2, 2, 40];

/// Accepts the next connection of the client and performs the handshake of a server with this TLS
/// config.
async fn welcome(server: &mut RawServer, tls: &ServerTls) -> RawPeer {
    let stream = server.listener.accept().await.expect("the client comes");
    let mut raw = RawPeer::new(tls.accept(stream).await.expect("the client accepts it"));
    raw.welcome(PYTHON).await.expect("the handshake works");
    raw
}

async fn tries_again(events: &mut EventStream) {
    until(events, |event| match event {
        Event::Reconnecting { .. } => Some(()),
        Event::GaveUp { attempts } => panic!("it stopped after {attempts}"),
        _ => None,
    })
    .await;
}

/// An attacker on the path can cut the connection and answer the next attempt. A server whose
/// certificate has expired can also receive a new one. So the client tries again.
#[tokio::test(start_paused = true)]
async fn what_its_server_has_not_said_ends_no_client() {
    let authority = Authority::new();
    let tls = authority.server();
    let expired = authority.issue_with(NAME, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let expired = ServerTls::new(expired.certificate()).expect("it works");
    let mut server = RawServer::new(PIPE);
    let config = ClientConfig::default()
        .tls(authority.client())
        .token("swordfish")
        .reconnect(Reconnect::fixed(Duration::from_secs(1)));
    let connecting = Client::connect_with(server.connector.clone(), config, Router::new());
    let (client, raw) = tokio::join!(connecting, welcome(&mut server, &tls));
    let client = client.expect("it connects");
    let mut events = client.events();
    drop(raw);
    tries_again(&mut events).await;
    for fake in [HANDSHAKE_FAILURE, b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let mut raw = server.accept().await;
        raw.read_more().await.expect("a ClientHello");
        raw.write(fake).await.expect("the client reads");
        tries_again(&mut events).await;
        let heard = raw.buffer.windows(9).any(|bytes| bytes == b"swordfish");
        assert!(!heard && raw.buffer.starts_with(&[22, 3]), "nothing is sent without TLS");
    }
    let stream = server.listener.accept().await.expect("the client comes");
    expired.accept(stream).await.expect_err("the client does not accept it");
    tries_again(&mut events).await;
    let raw = timeout(PATIENCE, welcome(&mut server, &tls)).await.expect("the client comes");
    timeout(PATIENCE, client.connected()).await.expect("in time").expect("it is connected");
    drop(raw);
}
