//! The information about the peer's certificate that handlers receive.

use veltix::tls::PeerCertificates;
use veltix::tls::rustls::pki_types::CertificateDer;
use veltix::{ClientConfig, Message, MessageType, Router, ServerConfig};

use crate::support::certificates::Authority;
use crate::support::{ECHO, OTHER, PIPE, World};

const MAYBE: MessageType = MessageType::new(202, "maybe", "");

fn router() -> Router {
    let first = |chain: &[CertificateDer<'static>]| chain[0].to_vec();
    Router::new()
        .route(OTHER, move |PeerCertificates(chain): PeerCertificates| {
            Message::new(OTHER, first(&chain))
        })
        .route(MAYBE, move |certificates: Option<PeerCertificates>| match certificates {
            Some(PeerCertificates(chain)) => Message::new(MAYBE, first(&chain)),
            None => Message::empty(MAYBE),
        })
        .route(ECHO, |message: Message| message)
}

#[tokio::test(start_paused = true)]
async fn the_certificate_is_an_argument() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let tls = servers.server().require_client_certificates(clients.roots()).expect("roots");
    let world = World::with(ServerConfig::default().tls(tls), PIPE, router());
    let mine = clients.issue("ann").certificate();
    let shown = mine.chain()[0].to_vec();
    let tls = servers.client().certificate(mine);
    let client = world.client_with(ClientConfig::default().tls(tls), Router::new()).await;
    for code in [OTHER, MAYBE] {
        let answer = client.request(&Message::empty(code)).await.expect("an answer");
        assert_eq!(answer.body(), &shown);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_none_is_served_where_none_is_required() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let tls = servers.server().accept_client_certificates(clients.roots()).expect("roots");
    let world = World::with(ServerConfig::default().tls(tls), PIPE, router());
    let config = ClientConfig::default().tls(servers.client());
    let client = world.client_with(config, Router::new()).await;
    let answer = client.request(&Message::empty(MAYBE)).await.expect("an answer");
    assert!(answer.body().is_empty());
    // A handler that requires a certificate is not called.
    client.request(&Message::empty(OTHER)).await.expect_err("it is rejected");
    assert_eq!(world.newest().stats().received.rejected, 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_resumed_only_where_no_certificate_is_judged() {
    let authority = Authority::new();
    let plain = authority.server();
    let asking = authority.server().accept_client_certificates(authority.roots()).expect("roots");
    for (server, is_resumed) in [(plain, true), (asking, false)] {
        let world = super::world(&server);
        let tls = authority.client();
        let mut resumed = Vec::new();
        for _ in 0..2 {
            let client = super::connect(&world, &tls).await.expect("it is accepted");
            client.ping().await.expect("a pong");
            resumed.push(client.peer().tls().map(|tls| tls.is_resumed()));
            client.close().await;
        }
        assert_eq!(resumed, [Some(false), Some(is_resumed)]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_tls_there_is_none() {
    let world = World::new(router());
    let client = world.client(Router::new()).await;
    let answer = client.request(&Message::empty(MAYBE)).await.expect("an answer");
    assert!(answer.body().is_empty());
    assert!(client.peer().tls().is_none() && world.newest().tls().is_none());
}
