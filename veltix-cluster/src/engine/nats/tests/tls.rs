//! TLS with the server.

use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::*;

/// The issuer of certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Returns a certificate and its key, in PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let chain = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        (chain, key.serialize_pem())
    }

    /// Starts a server with a certificate of this authority. It may ask for one of its clients.
    async fn server(&self, verifies: bool) -> Option<NatsServer> {
        let mut server = NatsServer::prepare(&[], "")?;
        let (chain, key) = self.issue("127.0.0.1");
        let [chain, key, roots] =
            [("chain.pem", &chain), ("key.pem", &key), ("roots.pem", &self.pem)]
                .map(|(name, content)| server.file(name, content).display().to_string());
        server.configure(&format!(
            "tls {{ cert_file: {chain:?}, key_file: {key:?}, ca_file: {roots:?}, verify: {verifies} }}"
        ));
        server.restart().await;
        Some(server)
    }
}

fn encrypted(server: &NatsServer) -> NatsConfig {
    NatsConfig::new(&server.tls_url(), "test")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_is_accepted_by_its_root_only() {
    let authority = Authority::new();
    let Some(mut server) = authority.server(false).await else { return };
    let mut engine = Engine::connected(encrypted(&server).roots(authority.pem.clone())).await;
    // The URL need not ask for it.
    let mut other = Engine::connected(config(&server).roots(authority.pem.clone())).await;
    let batch = engine.publish(Destination::Node(other.me), Bytes::from_static(b"x")).await;
    assert_eq!(other.next().await, Heard::Received(batch));
    // The client's own config would have installed a provider for the whole process, or panicked.
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    for config in [encrypted(&server).roots(Authority::new().pem), encrypted(&server)] {
        let error = config.optional().connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls(_)), "{error}");
    }
    let error = config(&server).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::TlsRequired), "{error}");
    let error = encrypted(&server).roots("no PEM").connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Certificates(_)), "{error}");
    let url = format!("tls://localhost:{}", server.port());
    let config = NatsConfig::new(&url, "test").roots(authority.pem.clone());
    let error = config.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error}");
    server.restart().await;
    engine.is_disconnected().await;
    engine.is_connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_may_ask_for_a_certificate() {
    let authority = Authority::new();
    let Some(server) = authority.server(true).await else { return };
    let config = encrypted(&server).roots(authority.pem.clone());
    let (chain, key) = authority.issue("node");
    config.clone().certificate(chain, key).connect().await.expect("it connects");
    let (chain, key) = Authority::new().issue("node");
    for config in [config.clone().certificate(chain, key), config] {
        let error = config.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls(_)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_without_tls_is_no_server_with_it() {
    let Some(server) = NatsServer::start(&[]).await else { return };
    let error = encrypted(&server).roots(Authority::new().pem).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_) | ConnectError::Unreachable(_)), "{error}");
}

/// The client loads the system's certificates even if it does not need them. This test runs itself again as a
/// process whose system has none, and as one whose variables name nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn own_roots_need_no_certificates_of_the_system() {
    const CHILD: &str = "VELTIX_TEST_SYSTEM_CERTIFICATES";
    let authority = Authority::new();
    let Some(server) = authority.server(false).await else { return };
    let own = encrypted(&server).roots(authority.pem.clone()).connect().await;
    match std::env::var(CHILD).as_deref() {
        Ok("none") => {
            own.expect("it connects");
            let error = encrypted(&server).connect().await.unwrap_err();
            assert!(matches!(error, ConnectError::Certificates(_)), "{error}");
        }
        Ok(_) => {
            let error = own.unwrap_err();
            assert!(matches!(error, ConnectError::Tls(_)), "{error}");
            assert!(error.to_string().contains("missing.pem"), "{error}");
        }
        Err(_) => {
            let empty = server.directory().join("empty");
            std::fs::create_dir(&empty).expect("a directory");
            let missing = server.directory().join("missing.pem");
            for (kind, variable, path) in
                [("none", "SSL_CERT_DIR", empty), ("broken", "SSL_CERT_FILE", missing)]
            {
                let name = "engine::nats::tests::tls::own_roots_need_no_certificates_of_the_system";
                let status = Command::new(std::env::current_exe().expect("this program"))
                    .args([name, "--exact", "--nocapture"])
                    .env_remove("SSL_CERT_FILE")
                    .env_remove("SSL_CERT_DIR")
                    .env(CHILD, kind)
                    .env(variable, path)
                    .status();
                assert!(status.expect("it runs").success(), "{kind}");
            }
        }
    }
}
