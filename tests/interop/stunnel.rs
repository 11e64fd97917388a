//! Python peers through TLS tunnels of stunnel, with the configurations of `docs/stunnel`. These
//! tests are skipped where stunnel is not installed.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;
use veltix::{Client, ClientConfig, CloseReason, Event, Message, Router, Server, ServerConfig};

use super::lab::{self, ECHO, QUESTION};
use super::process::Process;
use super::python::{Core, Kind};
use super::run::run_with;
use crate::support::certificates::{Authority, NAME};
use crate::support::skipped::skip;
use crate::support::{TempDir, repository, until};

const PYTHON: Kind = Kind { version: "3.3.0", core: Core::Threading };

/// Returns the path of stunnel, or records that this test is skipped.
fn stunnel(test: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&paths).map(|dir| dir.join("stunnel")).find(|it| it.exists());
    if found.is_none() {
        skip(test, "there is no stunnel (Debian: stunnel4)");
    }
    found
}

/// Returns a port that is currently free.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Starts a tunnel with one of the documented configurations, with these lines replaced.
async fn tunnel(stunnel: &Path, name: &str, dir: &TempDir, changes: &[(&str, String)]) -> Process {
    let documented = repository().join("docs/stunnel").join(name);
    let mut config = fs::read_to_string(documented).expect("it is documented");
    for (line, changed) in changes {
        assert!(config.contains(line), "{name} says {line:?}");
        config = config.replace(line, changed);
    }
    let path = dir.path().join(name);
    fs::write(&path, config).expect("it can be written");
    let mut command = Command::new(stunnel);
    command.arg(path).current_dir(dir.path());
    let mut tunnel = Process::start("stunnel", command);
    let ready = |line: &str| line.contains("Configuration successful").then_some(());
    tunnel.find("Configuration successful", ready).await;
    tunnel
}

/// Waits until a process listens on this port.
async fn listens(port: u16) {
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[test]
fn a_python_client_comes_through_a_tunnel() {
    let Some(stunnel) = stunnel("interop::stunnel::a_python_client_comes_through_a_tunnel") else {
        return;
    };
    run_with(PYTHON.version, "server over TLS", "a client's tunnel", async {
        let (authority, dir) = (Authority::new(), TempDir::new());
        fs::write(dir.path().join("roots.pem"), authority.pem()).expect("it can be written");
        let (router, _ears) = lab::routes();
        let config = ServerConfig::default().addr("127.0.0.1:0").tls(authority.server());
        let server = Server::bind(config, router).await.expect("a free port");
        let (to, at) = (server.local_addr().to_string(), free_port());
        let mut events = server.hub().events();
        tokio::spawn(server.run());
        let _tunnel = tunnel(
            &stunnel,
            "client.conf",
            &dir,
            &[
                ("accept = 127.0.0.1:8080", format!("accept = 127.0.0.1:{at}")),
                ("connect = chat.example.org:8443", format!("connect = {to}")),
                ("checkHost = chat.example.org", format!("checkHost = {NAME}")),
            ],
        )
        .await;
        listens(at).await;
        let mut client = PYTHON.connected(at).await;
        let connected = |event| match event {
            Event::Connected { peer } => Some(peer),
            _ => None,
        };
        let peer = until(&mut events, connected).await;
        assert_eq!(peer.tls().expect("there is TLS").alpn(), None);
        client
            .asks(json!({ "do": "request", "code": ECHO.code(), "text": "over TLS" }), "over TLS")
            .await;
        let answer = peer.request(&Message::from_text(QUESTION, "and back")).await;
        assert_eq!(answer.expect("an answer").text().ok(), Some("AND BACK"));
        // The tunnel forwards the end of the stream as it is.
        client.process.kill().await;
        assert_eq!(peer.closed().await.reason, CloseReason::PeerClosed);
    });
}

#[test]
fn a_python_server_is_reached_through_a_tunnel() {
    let Some(stunnel) = stunnel("interop::stunnel::a_python_server_is_reached_through_a_tunnel")
    else {
        return;
    };
    run_with(PYTHON.version, "client over TLS", "a server's tunnel", async {
        let (authority, dir) = (Authority::new(), TempDir::new());
        let issued = authority.issue(NAME);
        fs::write(dir.path().join("chain.pem"), &issued.chain).expect("it can be written");
        fs::write(dir.path().join("key.pem"), &issued.key).expect("it can be written");
        let (_server, port) = PYTHON.server(0, &[]).await;
        let at = free_port();
        let _tunnel = tunnel(
            &stunnel,
            "server.conf",
            &dir,
            &[
                ("accept = 0.0.0.0:8443", format!("accept = 127.0.0.1:{at}")),
                ("connect = 127.0.0.1:8080", format!("connect = 127.0.0.1:{port}")),
            ],
        )
        .await;
        listens(at).await;
        let config =
            ClientConfig::default().addr(format!("127.0.0.1:{at}")).tls(authority.client());
        let client = Client::connect(config, Router::new()).await.expect("through the tunnel");
        let answer = client.request(&Message::from_text(ECHO, "over TLS")).await;
        assert_eq!(answer.expect("an answer").text().ok(), Some("over TLS"));
        client.ping().await.expect("a pong");
        client.close().await;
    });
}
