//! A body of 3 MB both ways: more than any kernel buffer takes at once.
//!
//! Towards Python the body always arrives. The default backends of 2.0.3 and 3.0.2 damage large
//! bodies that they send, each in its own way; a Rust peer must notice the damage, and deliver
//! nothing damaged.

use bytes::BytesMut;
use serde_json::{Value, json};
use veltix::{ClientConfig, CloseReason, Message, Peer};
use veltix_core::{Frame, ProtocolError};

use super::lab::{Ears, Lab, SAY, client, soon};
use super::python::{Kind, Python};
use super::run::{AsDocumented, cases};
use super::slow_link::slow_link;

mod towards_server {
    use super::*;

    cases!("Rust server": large_body);

    async fn large_body(kind: Kind) -> Option<AsDocumented> {
        let mut lab = Lab::new().await;
        let python = kind.connected(slow_link(lab.port).await).await;
        let peer = lab.joined().await;
        both_ways(kind, Line { python, peer, whom: json!({}) }, &mut lab.ears).await
    }
}

mod towards_client {
    use super::*;

    cases!("Rust client": large_body);

    async fn large_body(kind: Kind) -> Option<AsDocumented> {
        let (mut python, port) = kind.server(0, &[]).await;
        let (client, mut ears) = client(ClientConfig::default(), slow_link(port).await).await;
        python.event("connected").await;
        let line = Line { python, peer: client.peer(), whom: json!({ "index": 0 }) };
        both_ways(kind, line, &mut ears).await
    }
}

/// A connection between a Python peer and a Rust peer.
struct Line {
    python: Python,
    peer: Peer,
    whom: Value,
}

impl Line {
    /// Returns a command to Python for this connection.
    fn command(&self, keys: Value) -> Value {
        let mut command = self.whom.clone();
        let keys = keys.as_object().expect("an object").clone();
        command.as_object_mut().expect("an object").extend(keys);
        command
    }

    fn send(&self, text: &str, times: usize) -> Value {
        let text = json!([text, times]);
        self.command(json!({ "do": "send", "code": SAY.code(), "text_repeat": text }))
    }
}

async fn both_ways(kind: Kind, mut line: Line, ears: &mut Ears) -> Option<AsDocumented> {
    // The content makes a repeated or missing piece visible.
    let block: String = (0..500_000_u32).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    let text = block.repeat(6);
    let message = Message::from_text(SAY, text.clone());
    line.peer.send(&message).await.unwrap();
    let got = line.python.message(SAY.code()).await;
    assert_eq!((&got["len"], &got["crc32"]), (&json!(text.len()), &json!(crc32(&message))));

    // A body that fits the kernel's buffers arrives undamaged from all versions.
    let small = line.send("fifty bytes", 4500);
    line.python.tell(small).await;
    assert_eq!(ears.next(SAY).await.text().unwrap(), "fifty bytes".repeat(4500));

    let large = line.send(&block, 6);
    line.python.tell(large).await;
    if kind.damages_large_bodies() {
        return Some(damaged(kind, &mut line, ears).await);
    }
    assert!(ears.next(SAY).await.text().unwrap() == text, "the text differs");
    line.peer.ping().await.unwrap();
    None
}

/// Checks the known damage that old packages do to a large body. None of it is delivered, and the
/// connection is closed in the end.
async fn damaged(kind: Kind, line: &mut Line, ears: &mut Ears) -> AsDocumented {
    let how = if kind.version == "2.0.3" {
        // A piece of the frame arrives first, and then the complete frame: the checksum fails at
        // once.
        "a repeated prefix, closed with ChecksumMismatch"
    } else {
        // The rest of the frame never arrives. The following data is read in its place: a ping and
        // its answer, and further data, until enough bytes have arrived for the checksum to fail.
        let ping = line.command(json!({ "do": "ping", "timeout": 0.5 }));
        assert_eq!(line.python.try_tell(ping).await["ok"], false);
        assert!(!line.peer.is_closed());
        ears.heard_nothing();
        let follows = line.send("fifty bytes", 4500);
        while !line.peer.is_closed() {
            line.python.try_tell(follows.clone()).await;
        }
        "cut for good, closed with ChecksumMismatch when as much had followed"
    };
    let end = soon("the end", line.peer.closed()).await;
    let mismatch = |error: &ProtocolError| matches!(error, ProtocolError::ChecksumMismatch { .. });
    assert!(matches!(&end.reason, CloseReason::Protocol(error) if mismatch(error)), "{end:?}");
    ears.heard_nothing();
    AsDocumented(how)
}

/// Returns the checksum of the body, as on the wire.
fn crc32(message: &Message) -> u32 {
    let mut bytes = BytesMut::new();
    Frame::new(message.code(), message.id(), message.body().clone()).write_to(&mut bytes);
    u32::from_be_bytes(bytes[9..13].try_into().expect("four bytes"))
}
