//! Handshakes written by hand: unsupported protocol versions against servers of both languages, and
//! data that arrives with the last bytes.

use std::io;

use bytes::{BufMut, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use veltix::{Client, ClientConfig, ConnectError, HandshakeError, RequestId, Router};
use veltix_core::Frame;

use super::lab::{Lab, SAY, client, soon};
use super::python::Kind;
use super::run::{cases, run, run_alone};
use crate::support::alone::measured;

cases!("raw client": bad_pv);

async fn bad_pv(kind: Kind) {
    let (_python, port) = kind.server(0, &[]).await;
    refuses_bad_pv(port).await;
}

#[test]
fn bad_pv_of_a_client() {
    run_alone("raw client", "bad_pv", async {
        let lab = Lab::new().await;
        refuses_bad_pv(lab.port).await;
    });
}

/// A client must close without sending anything.
#[test]
fn bad_pv_of_a_server() {
    run_alone("Rust client", "bad_pv", async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connect =
            Client::connect(ClientConfig::default().addr(addr.to_string()), Router::new());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&message(&json!({ "v": "9.0.0", "pv": "2.0" }))).await.unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            said
        };
        let (refused, said) = soon("the end", async { tokio::join!(connect, server) }).await;
        let Err(ConnectError::Handshake { source, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(source, HandshakeError::IncompatibleVersion { theirs: "2.0".to_owned() });
        assert_eq!(said, b"");
    });
}

/// A frame in the same segment as the last message of the handshake belongs to the connection.
#[test]
fn frame_behind_the_handshake() {
    run_alone("Rust server", "frame_behind_the_handshake", async {
        let mut lab = Lab::new().await;
        let mut stream = TcpStream::connect(("127.0.0.1", lab.port)).await.unwrap();
        let mut bytes = message(&json!({ "pv": "1.0" }));
        bytes.extend_from_slice(&frame());
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(lab.ears.next(SAY).await.text().unwrap(), "early");
    });
    run_alone("Rust client", "frame_behind_the_handshake", async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A server need not wait for the client's hello.
            let mut bytes = message(&json!({ "pv": "1.0" }));
            bytes.extend_from_slice(&message(&json!({ "result": "ok" })));
            bytes.extend_from_slice(&frame());
            stream.write_all(&bytes).await.unwrap();
            stream
        };
        let ((_client, mut ears), _stream) =
            tokio::join!(client(ClientConfig::default(), port), server);
        assert_eq!(ears.next(SAY).await.text().unwrap(), "early");
    });
}

fn frame() -> BytesMut {
    let mut bytes = BytesMut::new();
    Frame::new(SAY.code(), RequestId::new(0), "early".into()).write_to(&mut bytes);
    bytes
}

/// Checks that a server closes without sending anything, and continues to serve others.
async fn refuses_bad_pv(port: u16) {
    let bad = [json!({ "pv": "2.0" }), json!({ "pv": 1 }), json!({}), json!({ "pv": null })];
    for hello in bad {
        let answer = soon("the end", introduce(port, &hello)).await;
        assert_eq!(answer.ok(), None, "it answered to {hello}");
    }
    let good = json!({ "v": "another", "pv": "1.7", "meta": {} });
    let answer = soon("an ack", introduce(port, &good)).await.unwrap();
    assert_eq!(answer, json!({ "result": "ok" }));
}

/// Sends a client's hello and returns the server's answer, or an error if the server closes.
async fn introduce(port: u16, hello: &Value) -> io::Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
    let theirs = read(&mut stream).await.expect("the server speaks first");
    assert_eq!(theirs["pv"], "1.0");
    stream.write_all(&message(hello)).await?;
    read(&mut stream).await
}

/// Returns a message of the handshake.
fn message(object: &Value) -> BytesMut {
    let json = object.to_string();
    let mut bytes = BytesMut::new();
    bytes.put_u16(json.len().try_into().expect("it is short"));
    bytes.put(json.as_bytes());
    bytes
}

async fn read(stream: &mut TcpStream) -> io::Result<Value> {
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Returns protocol versions that a peer may claim. The Python package decides which of them are
/// compatible.
fn versions() -> [Value; 16] {
    [
        json!("1.0"),
        json!("1.7"),
        json!("1.99"),
        json!("2.0"),
        json!("0.9"),
        json!("10.0"),
        json!("1"),
        json!("1."),
        json!(".0"),
        json!("1.0.0"),
        json!("1.x"),
        json!("one.two"),
        json!(""),
        json!(1),
        json!(["1.0"]),
        Value::Null,
    ]
}

/// Returns the hello of a peer with this version.
fn hello(version: &Value) -> Value {
    json!({ "v": "3.3.0", "pv": version, "meta": {} })
}

/// Returns for each version whether a server accepts a client of it.
async fn served(port: u16) -> Vec<bool> {
    let mut served = Vec::new();
    for version in versions() {
        let answer = soon("an ack or the end", introduce(port, &hello(&version))).await;
        served.push(answer.is_ok_and(|answer| answer == json!({ "result": "ok" })));
    }
    served
}

/// Reports whether a client that connects to this port accepts a server of this version: it sends
/// its own hello, or closes.
async fn is_greeted(listener: &TcpListener, version: &Value) -> bool {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&message(&hello(version))).await.unwrap();
    read(&mut stream).await.is_ok_and(|hello| hello["pv"] == "1.0")
}

#[test]
fn r46_the_same_versions_are_ours_as_are_python_s() {
    const KIND: Kind = Kind { version: "3.3.0", core: super::python::Core::Async };
    run("both sides", "versions", KIND, async |kind| {
        let lab = Lab::new().await;
        let (_python, port) = kind.server(0, &[]).await;
        let (rust, python) = (served(lab.port).await, served(port).await);
        assert_eq!(rust, python, "of {:?}", versions());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for (version, ours) in versions().iter().zip(&rust) {
            let config = ClientConfig::default().addr(format!("127.0.0.1:{port}"));
            let connecting = tokio::spawn(Client::connect(config, Router::new()));
            let rust = soon("a hello or the end", is_greeted(&listener, version)).await;
            connecting.abort();
            let client = kind.client(port, &[]);
            let python = soon("a hello or the end", is_greeted(&listener, version)).await;
            drop(client);
            assert_eq!((rust, python), (*ours, *ours), "{version}");
        }
        let ours = rust.iter().filter(|ours| **ours).count();
        measured(46, format_args!("16 versions, of which {ours} are ours, equal on 4 sides"));
    });
}
