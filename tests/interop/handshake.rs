//! The handshake by hand: protocol versions that nobody speaks, against servers of both languages,
//! and what may come along with its last bytes.

use std::io;

use bytes::{BufMut, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use veltix::{Client, ClientConfig, ConnectError, HandshakeError, RequestId, Router};
use veltix_core::Frame;

use super::lab::{Lab, SAY, client, soon};
use super::python::Kind;
use super::run::{cases, run_alone};

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

/// A client must close without a word.
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

/// A frame in the same segment as the last word of the handshake belongs to the connection.
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

/// A server must close without a word, and go on serving others.
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

/// Says a client's hello; what the server answers. An error if it closes.
async fn introduce(port: u16, hello: &Value) -> io::Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
    let theirs = read(&mut stream).await.expect("the server speaks first");
    assert_eq!(theirs["pv"], "1.0");
    stream.write_all(&message(hello)).await?;
    read(&mut stream).await
}

/// A message of the handshake.
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
