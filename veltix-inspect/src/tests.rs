//! Requests over loopback.

use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use veltix_core::limits::{INSPECT_CONNECTIONS_PER_ADDRESS, INSPECT_HEAD_BYTES};
use veltix_core::{Message, MessageType};
use veltix_tokio::{Client, ClientConfig, Hub, Router, Server, ServerConfig};

use crate::{InspectError, Inspecting, Inspector};

const SAY: MessageType = MessageType::new(200, "say", "");

/// A server that does not run yet, and its inspector.
async fn inspected(config: ServerConfig) -> (Server, Inspecting) {
    let router = Router::new().route(SAY, || {});
    let server = Server::bind(config.addr("127.0.0.1:0"), router).await.expect("a port is free");
    let inspector = Inspector::new(server.hub()).addr(([127, 0, 0, 1], 0)).label("server", "chat");
    let inspecting = inspector.start().await.expect("a port is free");
    (server, inspecting)
}

async fn running() -> (Hub, Inspecting, JoinHandle<()>) {
    let (server, inspecting) = inspected(ServerConfig::default()).await;
    let hub = server.hub();
    let run = tokio::spawn(async move { server.run().await.expect("it runs") });
    while !hub.is_running() {
        tokio::task::yield_now().await;
    }
    (hub, inspecting, run)
}

async fn connect(hub: &Hub) -> Client {
    let config = ClientConfig::default().addr(hub.local_addr().to_string());
    Client::connect(config, Router::new()).await.expect("it connects")
}

/// Sends bytes, and returns all that is answered.
async fn exchange(inspecting: &Inspecting, request: &[u8]) -> String {
    let answer = async {
        let mut stream = TcpStream::connect(inspecting.addr()).await.expect("it listens");
        // The answer may come, and the connection end, before all is read.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).expect("it is a text")
    };
    timeout(Duration::from_secs(20), answer).await.expect("it is answered in time")
}

async fn get(inspecting: &Inspecting, path: &str, fields: &str) -> String {
    let host = inspecting.addr();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{fields}\r\n");
    exchange(inspecting, request.as_bytes()).await
}

fn status(answer: &str) -> &str {
    answer.split_ascii_whitespace().nth(1).unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_those_of_the_server() {
    let (hub, inspecting, _run) = running().await;
    let client = connect(&hub).await;
    client.send(&Message::empty(SAY)).await.expect("there is room");
    let ping = client.ping().await.expect("it is answered");
    assert!(ping < Duration::from_secs(10));
    let text = get(&inspecting, "/metrics", "").await;
    assert_eq!(status(&text), "200", "{text}");
    for line in [
        "# TYPE veltix_connections_opened_total counter",
        "veltix_connections_opened_total{server=\"chat\",kind=\"rust\"} 1",
        "veltix_peers{server=\"chat\"} 1",
        "veltix_connection_age_seconds_bucket{server=\"chat\",le=\"+Inf\"} 0",
        "veltix_frames_dropped_total{server=\"chat\",message=\"say\",reason=\"policy\"} 0",
        "veltix_frames_dropped_total{server=\"chat\",message=\"other\",reason=\"policy\"} 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    let accept = "accept: application/openmetrics-text;version=1.0.0\r\n";
    let text = get(&inspecting, "/metrics", accept).await;
    assert!(text.contains("# TYPE veltix_connections_opened counter\n"), "{text}");
    assert!(text.contains("# UNIT veltix_queued_bytes bytes\n"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_ready_while_it_takes_peers() {
    let (server, inspecting) = inspected(ServerConfig::default().max_connections(1)).await;
    let hub = server.hub();
    let answer = get(&inspecting, "/readyz", "").await;
    assert_eq!(status(&answer), "503");
    assert!(answer.ends_with("{\"ready\":false,\"reasons\":[\"not_running\"]}\n"), "{answer}");
    let run = tokio::spawn(async move { server.run().await.expect("it runs") });
    while !hub.is_running() {
        tokio::task::yield_now().await;
    }
    assert_eq!(status(&get(&inspecting, "/readyz", "").await), "200");
    let client = connect(&hub).await;
    let answer = get(&inspecting, "/readyz", "").await;
    assert!(answer.ends_with("[\"full\"]}\n"), "{answer}");
    client.close().await;
    hub.shutdown().await;
    run.await.expect("no panic");
    // The inspector ends with the server.
    let ended = async { while TcpStream::connect(inspecting.addr()).await.is_ok() {} };
    timeout(Duration::from_secs(20), ended).await.expect("it ends");
}

#[test]
fn a_blocked_runtime_is_not_live() {
    let mut application = tokio::runtime::Builder::new_multi_thread();
    let application =
        application.worker_threads(1).enable_all().build().expect("there are threads");
    let (_server, inspecting) = application.block_on(inspected(ServerConfig::default()));
    let outside = tokio::runtime::Runtime::new().expect("there are threads");
    assert_eq!(status(&outside.block_on(get(&inspecting, "/livez", ""))), "200");
    let (unblock, blocked) = mpsc::channel::<()>();
    let (entered, inside) = mpsc::channel();
    application.spawn(async move {
        let _ = entered.send(());
        // The only worker waits here, as behind a handler that blocks.
        let _ = blocked.recv();
    });
    inside.recv().expect("it runs");
    assert_eq!(status(&outside.block_on(get(&inspecting, "/livez", ""))), "503");
    assert_eq!(
        status(&outside.block_on(get(&inspecting, "/metrics", ""))),
        "200",
        "it still answers"
    );
    drop(unblock);
    assert_eq!(status(&outside.block_on(get(&inspecting, "/livez", ""))), "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_requests_are_refused() {
    let (_hub, inspecting, _run) = running().await;
    let addr = inspecting.addr();
    let host = format!("host: {addr}\r\nconnection: close\r\n");
    let long = "x".repeat(2 * INSPECT_HEAD_BYTES);
    let many = "a: b\r\n".repeat(100);
    for (request, expected) in [
        (
            format!(
                "GET /metrics HTTP/1.1\r\nhost: evil.example:{}\r\nconnection: close\r\n\r\n",
                addr.port()
            ),
            "421",
        ),
        ("GET /metrics HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(), "421"),
        (format!("GET /metrics HTTP/1.1\r\n{host}host: localhost\r\n\r\n"), "421"),
        (format!("GET / HTTP/1.1\r\n{host}\r\n"), "404"),
        (format!("GET /../metrics HTTP/1.1\r\n{host}\r\n"), "404"),
        (format!("GET /metrics%2f HTTP/1.1\r\n{host}\r\n"), "404"),
        (format!("POST /metrics HTTP/1.1\r\n{host}content-length: 0\r\n\r\n"), "405"),
        (format!("OPTIONS /metrics HTTP/1.1\r\n{host}origin: http://evil.example\r\n\r\n"), "405"),
        (format!("GET /metrics HTTP/1.1\r\n{host}x: {long}\r\n\r\n"), "431"),
        (format!("GET /metrics HTTP/1.1\r\n{host}{many}\r\n"), "431"),
        ("\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "none"),
    ] {
        let answer = exchange(&inspecting, request.as_bytes()).await;
        let text: String = request.chars().take(80).collect();
        assert_eq!(status(&answer), expected, "{text:?}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
    }
    assert_eq!(status(&get(&inspecting, "/livez", "").await), "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_a_few_connections() {
    let (_hub, inspecting, _run) = running().await;
    let mut held = Vec::new();
    for _ in 0..INSPECT_CONNECTIONS_PER_ADDRESS {
        held.push(TcpStream::connect(inspecting.addr()).await.expect("it listens"));
    }
    // The next one is closed without an answer.
    assert_eq!(status(&get(&inspecting, "/livez", "").await), "none");
    held.clear();
    while status(&get(&inspecting, "/livez", "").await) != "200" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspector_that_cannot_start_says_why() {
    let (hub, inspecting, run) = running().await;
    let taken = Inspector::new(hub.clone()).addr(inspecting.addr()).start().await;
    assert!(matches!(taken, Err(InspectError::Bind { .. })), "{taken:?}");
    let open = Inspector::new(hub).addr(([0, 0, 0, 0], 0)).start().await;
    assert!(matches!(open, Err(InspectError::NotLoopback { .. })), "{open:?}");
    let addr = inspecting.addr();
    inspecting.stop().await;
    assert!(TcpStream::connect(addr).await.is_err());
    assert!(!run.is_finished(), "the server is not affected");
}
