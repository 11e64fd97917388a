//! R5: over TLS, no data that was changed in transit is read. A CRC cannot promise this.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt;
use veltix::transport::{Connector, MemoryConnector, Stream, StreamWriter, memory_pair};
use veltix::{Client, ClientConfig, CloseReason, Event, Message, Router, ServerConfig, TlsError};

use crate::support::certificates::both_sides;
use crate::support::{OTHER, PIPE, RawPeer, World, until};

const STREAMS: u32 = 1_000;

/// Frames that a client sends: enough of them to fill a record whose length was increased.
const FRAMES: u32 = 20;
const BODY: usize = 1_000;

/// A tamperer that flips one bit on the way to the server, at this offset from the start position.
#[derive(Clone, Default)]
struct Meddler(Arc<Mutex<Option<(usize, u8)>>>);

impl Meddler {
    fn meddle(&self, bytes: &mut [u8]) {
        let mut left = self.0.lock().expect("nobody panics");
        match *left {
            Some((at, bit)) if at < bytes.len() => {
                bytes[at] ^= bit;
                *left = None;
            }
            Some((at, bit)) => *left = Some((at - bytes.len(), bit)),
            None => {}
        }
    }
}

/// A connector to the server whose link passes through the tamperer.
struct Tapped {
    server: MemoryConnector,
    meddler: Meddler,
}

impl Connector for Tapped {
    async fn connect(&self) -> io::Result<Stream> {
        let (near, tap) = memory_pair(PIPE);
        let ((from_client, to_client), (from_server, to_server)) =
            (tap.into_parts(), self.server.stream().await?.into_parts());
        let meddler = self.meddler.clone();
        tokio::spawn(forward(from_client, to_server, move |bytes| meddler.meddle(bytes)));
        tokio::spawn(forward(from_server, to_client, |_| {}));
        Ok(near)
    }

    fn target(&self) -> String {
        "the tap".to_owned()
    }
}

async fn forward(
    mut from: Box<dyn tokio::io::AsyncRead + Send + Unpin>,
    to: Box<dyn StreamWriter>,
    mut change: impl FnMut(&mut [u8]),
) {
    let to = Stream::new(tokio::io::empty(), to, veltix::transport::PeerAddr::Memory(0));
    let mut to = RawPeer::new(to);
    let mut bytes = vec![0; PIPE];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        change(&mut bytes[..read]);
        if to.write(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r05_tls_a_thousand_tampered_streams_are_refused() {
    let (server, client) = both_sides();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let router = Router::new().route(OTHER, move |message: Message| {
        hear.lock().expect("nobody panics").push(message.body().clone());
    });
    let world = World::with(ServerConfig::default().tls(server), PIPE, router);
    let mut events = world.hub.events();
    let meddler = Meddler::default();
    let body = |number: u32| vec![number as u8; BODY];
    for seed in 0..STREAMS {
        let tapped = Tapped { server: world.connector.clone(), meddler: meddler.clone() };
        let config = ClientConfig::default().tls(client.clone());
        let client = Client::connect_with(tapped, config, Router::new()).await.expect("untouched");
        client.ping().await.expect("a pong");
        // The length of a record, and its ciphertext. The three bytes before the length have no
        // meaning (RFC 8446, section 5.2): for any value of them, the same data is read.
        let at = 3 + seed.wrapping_mul(2_654_435_761) as usize % (BODY + 15);
        *meddler.0.lock().expect("nobody panics") = Some((at, 1 << (seed % 8)));
        for number in 0..FRAMES {
            // The end of the stream may arrive in between.
            let _ = client.send(&Message::new(OTHER, body(number))).await;
        }
        let ended = |event| match event {
            Event::Disconnected { outcome, .. } => Some(outcome.reason),
            _ => None,
        };
        let reason = until(&mut events, ended).await;
        assert!(matches!(reason, CloseReason::Tls(_)), "{seed}: bit {at}: {reason:?}");
        if at > 4 {
            assert_eq!(reason, CloseReason::Tls(TlsError::Tampered), "in the ciphertext");
        }
        assert!(
            heard.lock().expect("nobody panics").is_empty(),
            "{seed}: none of the changed data was read"
        );
    }
}
