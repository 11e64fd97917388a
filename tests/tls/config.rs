//! Unusable certificates and configs are rejected when they are created, and the source of server
//! names.

use std::fs;

use veltix::tls::{Certificate, Roots};
use veltix::{
    Client, ClientConfig, ConfigError, ConnectError, Message, Router, Server, ServerConfig,
    SocketCore, TlsConfigError,
};

use crate::support::certificates::{Authority, both_sides};
use crate::support::{ECHO, TempDir};

#[test]
fn bad_files_are_told_apart() {
    let (one, other) = (Authority::new().issue("one"), Authority::new().issue("other"));
    let made = |chain: &str, key: &str| Certificate::from_pem(chain, key).expect_err("it is bad");
    let text = "no PEM at all";
    assert!(matches!(made(text, &one.key), TlsConfigError::NoCertificate { .. }));
    assert!(matches!(made(&one.chain, text), TlsConfigError::NoKey { .. }));
    assert!(matches!(made(&one.chain, &other.key), TlsConfigError::KeyMismatch));
    let cut = &one.chain[..one.chain.len() / 2];
    assert!(matches!(made(cut, &one.key), TlsConfigError::Pem { .. }));
    let key_for_chain = made(&one.key, &one.key);
    assert!(matches!(key_for_chain, TlsConfigError::NoCertificate { .. }));
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(made(not_der, &one.key), TlsConfigError::Unusable { .. }));
    assert!(matches!(Roots::from_pem(not_der), Err(TlsConfigError::Unusable { .. })));
    assert!(matches!(Roots::from_pem(text), Err(TlsConfigError::NoCertificate { .. })));
}

#[test]
fn a_file_is_named_in_its_error() {
    let dir = TempDir::new();
    let path = dir.path().join("chain.pem");
    let missing = Certificate::from_pem_files(&path, &path).expect_err("there is none");
    assert!(matches!(&missing, TlsConfigError::File { path: named, .. } if *named == path));
    fs::write(&path, "nothing").expect("it can be written");
    let empty = Certificate::from_pem_files(&path, &path).expect_err("the file contains none");
    assert!(empty.to_string().contains("chain.pem"), "{empty}");
    let issued = Authority::new().issue("one");
    fs::write(&path, [issued.chain, issued.key].concat()).expect("it can be written");
    Certificate::from_pem_files(&path, &path).expect("one file has both");
}

#[test]
fn a_key_is_not_printed() {
    let issued = Authority::new().issue("one");
    let printed = format!("{:?}", issued.certificate());
    assert_eq!(printed, "Certificate { chain: 1, .. }");
}

#[tokio::test]
async fn the_host_of_the_address_is_the_name() {
    let authority = Authority::new();
    for host in ["127.0.0.1", "localhost"] {
        let tls =
            veltix::tls::ServerTls::new(authority.issue(host).certificate()).expect("it works");
        let config = ServerConfig::default().addr("127.0.0.1:0").tls(tls);
        let server = Server::bind(config, Router::new()).await.expect("a free port");
        let port = server.local_addr().socket_addr().expect("it is TCP").port();
        let running = tokio::spawn(server.run());
        let tls = veltix::tls::ClientTls::new(authority.roots()).expect("roots");
        let config = ClientConfig::default().addr(format!("{host}:{port}")).tls(tls);
        let client = Client::connect(config, Router::new()).await.expect("the name is right");
        client.ping().await.expect("a pong");
        running.abort();
    }
}

#[tokio::test]
async fn a_name_is_needed_and_must_be_one() {
    let (_, client) = both_sides();
    let connect = async |config: ClientConfig| Client::connect(config, Router::new()).await;
    let config = ClientConfig::default().tls(client.server_name("not a name"));
    let refused = connect(config).await.expect_err("no certificate has this name");
    let expected = ConfigError::ServerName { name: "not a name".to_owned() };
    assert!(matches!(refused, ConnectError::Config(error) if error == expected));

    let (_, connector) = veltix::transport::memory(1);
    let tls = veltix::tls::ClientTls::new(Authority::new().roots()).expect("roots");
    let config = ClientConfig::default().tls(tls);
    let refused = Client::connect_with(connector, config, Router::new()).await;
    assert!(matches!(refused, Err(ConnectError::Config(ConfigError::NoServerName))));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_transports_and_threads_speak_it_too() {
    let dir = TempDir::new();
    let (server_tls, client_tls) = both_sides();
    for core in [SocketCore::Async, SocketCore::Threading] {
        let path = dir.path().join(format!("{core:?}"));
        let config = ServerConfig::default().socket_core(core).tls(server_tls.clone());
        let router = Router::new().route(ECHO, |message: Message| message);
        let server = Server::bind_unix(&path, config, router).expect("a path of our own");
        let hub = server.hub();
        let running = tokio::spawn(server.run());
        let config = ClientConfig::default().socket_core(core).tls(client_tls.clone());
        let client = Client::connect_unix(&path, config, Router::new()).await.expect("it is there");
        let question = Message::new(ECHO, vec![7; 300_000]);
        let answer = client.request(&question).await.expect("an answer");
        assert!(answer.body() == question.body() && client.peer().tls().is_some());
        client.close().await;
        assert!(hub.shutdown().await.complete);
        running.await.expect("it does not panic").expect("it ran");
    }
}
