//! R44: a peer with a wrong identity is refused with a typed reason on both sides, and no
//! connection falls back to plaintext.

use std::time::Duration;

use rcgen::date_time_ymd;
use tokio::time::timeout;
use veltix::tls::rustls;
use veltix::tls::{ClientTls, ServerTls};
use veltix::{
    CertificateProblem, Client, ClientConfig, ConnectError, Event, EventStream, HandshakeError,
    HandshakeFailure, Router, Server, ServerConfig, TlsError, all,
};

use crate::support::certificates::{Authority, Issued, NAME};
use crate::support::{PATIENCE, RawPeer, until};

/// Starts a server on a free port.
struct Scene {
    addr: String,
    events: EventStream,
    hub: veltix::Hub,
}

impl Scene {
    async fn new(config: ServerConfig) -> Self {
        let server =
            Server::bind(config.addr("127.0.0.1:0"), Router::new()).await.expect("a free port");
        let (hub, addr) = (server.hub(), server.local_addr().to_string());
        tokio::spawn(server.run());
        Self { addr, events: hub.events(), hub }
    }

    async fn over(tls: ServerTls) -> Self {
        Self::new(ServerConfig::default().tls(tls)).await
    }

    /// Returns the errors of both sides for a client that is refused.
    async fn refuses(mut self, tls: Option<ClientTls>) -> (Said, HandshakeFailure) {
        let config = ClientConfig::default().addr(&self.addr);
        let config = match tls {
            Some(tls) => config.tls(tls),
            None => config,
        };
        let connecting = Client::connect(config, Router::new());
        let error = timeout(PATIENCE, connecting).await.expect("in time").expect_err("refused");
        assert!(!error.is_transient(), "another attempt would fail in the same way: {error}");
        let client = match error {
            ConnectError::Tls { source, .. } => Said::Tls(source),
            ConnectError::Handshake { source, .. } => Said::Plain(source),
            other => panic!("{other}"),
        };
        let server = self.next_failure().await;
        assert_eq!(self.hub.count(all()), Ok(0), "it was never listed");
        (client, server)
    }

    async fn next_failure(&mut self) -> HandshakeFailure {
        let failed = |event| match event {
            Event::HandshakeFailed { reason, .. } => Some(reason),
            _ => None,
        };
        until(&mut self.events, failed).await
    }

    async fn raw(&self) -> RawPeer {
        let stream = tokio::net::TcpStream::connect(&self.addr).await.expect("it listens");
        let addr = veltix::transport::PeerAddr::Memory(0);
        let (reader, writer) = stream.into_split();
        RawPeer::new(veltix::transport::Stream::new(reader, writer, addr))
    }
}

/// Returns the error that a client receives.
#[derive(Debug, PartialEq)]
enum Said {
    Tls(TlsError),
    Plain(HandshakeError),
}

fn refused(alert: u8, name: &'static str) -> TlsError {
    TlsError::Refused { alert, name }
}

/// Starts a server with this certificate and connects a client that trusts this authority. Returns
/// the client's error and the error that the server receives.
async fn check_server(
    authority: &Authority,
    shown: &Issued,
    is_expected: impl Fn(&CertificateProblem) -> bool,
    alert: TlsError,
) {
    let tls = ServerTls::new(shown.certificate()).expect("it works");
    let (client, server) = Scene::over(tls).await.refuses(Some(authority.client())).await;
    let Said::Tls(TlsError::Certificate(problem)) = client else { panic!("{client:?}") };
    assert!(is_expected(&problem), "{problem:?}");
    assert_eq!(server, HandshakeFailure::Tls(alert));
}

#[tokio::test]
async fn r44_01_wrong_name() {
    let authority = Authority::new();
    let expected =
        CertificateProblem::WrongName { expected: NAME.into(), presented: "other.test".into() };
    let is_expected = |problem: &CertificateProblem| *problem == expected;
    let alert = refused(42, "BadCertificate");
    check_server(&authority, &authority.issue("other.test"), is_expected, alert).await;
}

#[tokio::test]
async fn r44_02_ip_address_that_is_not_in_the_certificate() {
    let authority = Authority::new();
    let scene = Scene::over(authority.server()).await;
    // The client verifies the address that it was given, 127.0.0.1, independent of the server's
    // name.
    let tls = ClientTls::new(authority.roots()).expect("roots");
    let (client, server) = scene.refuses(Some(tls)).await;
    let Said::Tls(TlsError::Certificate(CertificateProblem::WrongName { expected, .. })) = client
    else {
        panic!("{client:?}")
    };
    assert_eq!(&*expected, "127.0.0.1");
    assert_eq!(server, HandshakeFailure::Tls(refused(42, "BadCertificate")));
}

#[tokio::test]
async fn r44_03_expired() {
    let authority = Authority::new();
    let shown = authority.issue_with(NAME, |params| params.not_after = date_time_ymd(2020, 1, 1));
    let is_expected = |problem: &CertificateProblem| *problem == CertificateProblem::Expired;
    check_server(&authority, &shown, is_expected, refused(45, "CertificateExpired")).await;
}

#[tokio::test]
async fn r44_04_not_yet_valid() {
    let authority = Authority::new();
    let shown = authority.issue_with(NAME, |params| params.not_before = date_time_ymd(4000, 1, 1));
    let is_expected = |problem: &CertificateProblem| *problem == CertificateProblem::NotYetValid;
    check_server(&authority, &shown, is_expected, refused(45, "CertificateExpired")).await;
}

fn is_unknown(problem: &CertificateProblem) -> bool {
    *problem == CertificateProblem::UnknownIssuer
}

#[tokio::test]
async fn r44_05_unknown_authority() {
    let shown = Authority::new().issue(NAME);
    check_server(&Authority::new(), &shown, is_unknown, refused(48, "UnknownCA")).await;
}

#[tokio::test]
async fn r44_06_self_signed() {
    let shown = Issued::self_signed(NAME);
    check_server(&Authority::new(), &shown, is_unknown, refused(48, "UnknownCA")).await;
}

#[tokio::test]
async fn r44_07_plaintext_to_tls() {
    let authority = Authority::new();
    // A client without TLS waits for the server's first byte until the server's deadline.
    let limit = Duration::from_millis(200);
    let config = ServerConfig::default().handshake_timeout(limit).tls(authority.server());
    let (client, server) = Scene::new(config).await.refuses(None).await;
    assert_eq!(client, Said::Plain(HandshakeError::Tls));
    assert_eq!(server, HandshakeFailure::Tls(TlsError::NoClientHello));
    // A client that sends plaintext is detected at its first byte and receives an error.
    for bytes in
        [&crate::support::said(crate::support::PYTHON)[..], b"GET / HTTP/1.1\r\n", b"\x16\x00"]
    {
        let mut scene = Scene::over(authority.server()).await;
        let mut raw = scene.raw().await;
        raw.write(bytes).await.expect("it reads");
        assert_eq!(scene.next_failure().await, HandshakeFailure::Tls(TlsError::Plaintext));
        while raw.read_more().await.is_ok() {}
        assert_eq!(&raw.buffer[..], [21, 3, 3, 0, 2, 2, 70]);
    }
}

#[tokio::test]
async fn r44_08_tls_to_plaintext() {
    let scene = Scene::new(ServerConfig::default()).await;
    let (client, server) = scene.refuses(Some(Authority::new().client())).await;
    assert_eq!(client, Said::Tls(TlsError::Plaintext));
    assert_eq!(server, HandshakeFailure::Protocol(HandshakeError::Tls));
}

/// Returns a ClientHello of TLS 1.1 that offers AES-128-CBC-SHA and these extensions.
fn tls_1_1_hello(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0, 0x2f, 0, 0xff, 1, 0]);
    if !extensions.is_empty() {
        body.extend([0, extensions.len() as u8]);
        body.extend(extensions);
    }
    let mut hello = vec![1, 0, 0, body.len() as u8];
    hello.extend(body);
    let mut record = vec![22, 3, 1, 0, hello.len() as u8];
    record.extend(hello);
    record
}

#[tokio::test]
async fn r44_09_tls_1_1() {
    // First the extensions of such clients, then those of a client that knows the signatures of 1.2
    // (ECDSA with SHA-256).
    for extensions in [&[][..], &[0, 13, 0, 4, 0, 2, 4, 3]] {
        let mut scene = Scene::over(Authority::new().server()).await;
        let mut raw = scene.raw().await;
        raw.write(&tls_1_1_hello(extensions)).await.expect("it reads");
        assert_eq!(scene.next_failure().await, HandshakeFailure::Tls(TlsError::Version));
        while raw.read_more().await.is_ok() {}
        assert_eq!((raw.buffer.len(), raw.buffer[0], raw.buffer[5]), (7, 21, 2), "a fatal alert");
    }
}

#[tokio::test]
async fn r44_10_no_client_certificate() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let tls = servers.server().require_client_certificates(clients.roots()).expect("roots");
    let (client, server) = Scene::over(tls).await.refuses(Some(servers.client())).await;
    assert_eq!(client, Said::Tls(refused(116, "CertificateRequired")));
    assert_eq!(server, HandshakeFailure::Tls(TlsError::NoCertificate));
}

#[tokio::test]
async fn r44_11_client_certificate_of_another_authority() {
    let (servers, clients) = (Authority::new(), Authority::new());
    for tls in [
        servers.server().require_client_certificates(clients.roots()),
        servers.server().accept_client_certificates(clients.roots()),
    ] {
        let scene = Scene::over(tls.expect("roots")).await;
        let mine = servers.client().certificate(servers.issue("ann").certificate());
        let (client, server) = scene.refuses(Some(mine)).await;
        assert_eq!(client, Said::Tls(refused(48, "UnknownCA")));
        let problem = TlsError::Certificate(CertificateProblem::UnknownIssuer);
        assert_eq!(server, HandshakeFailure::Tls(problem));
    }
}

#[tokio::test]
async fn r44_12_another_protocol() {
    let authority = Authority::new();
    let scene = Scene::over(authority.server()).await;
    let provider = rustls::crypto::ring::default_provider();
    let mut config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols.push(b"h2".to_vec());
    let (client, server) =
        scene.refuses(Some(ClientTls::with_config(config).server_name(NAME))).await;
    assert_eq!(client, Said::Tls(TlsError::ApplicationProtocol));
    assert_eq!(server, HandshakeFailure::Tls(TlsError::ApplicationProtocol));
}
