//! The TLS stream itself: its bytes, its ends, and the bytes that it keeps back.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};
use veltix::tls::rustls::{self, version::TLS12, version::TLS13};
use veltix::tls::{ClientTls, ServerTls};
use veltix::transport::{Stream, memory_pair};
use veltix::{Message, Router, ServerConfig, TlsError};

use crate::support::certificates::Authority;
use crate::support::{OTHER, PATIENCE, RawPeer, World};

/// Creates a server config that requires certificates. Such a server writes nothing after the
/// handshake: no tickets, which would wait in a narrow pipe until a client reads them.
fn both_sides() -> (ServerTls, ClientTls) {
    let authority = Authority::new();
    let server = authority.server().accept_client_certificates(authority.roots());
    (server.expect("roots"), authority.client())
}

/// Creates the two ends of a TLS connection over pipes of `pipe` bytes.
async fn pair(server: &ServerTls, client: &ClientTls, pipe: usize) -> (Stream, Stream) {
    let (near, far) = memory_pair(pipe);
    let both = async { tokio::join!(client.connect(near), server.accept(far)) };
    let (near, far) = timeout(PATIENCE, both).await.expect("the handshake ends");
    (near.expect("a client"), far.expect("a server"))
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(7919) >> 5) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn all_bytes_come_through_the_narrowest_pipe() {
    let (server, client) = both_sides();
    // Only the reads of the peer let the ciphertext advance, a few bytes at a time.
    for pipe in [7, 100, 4_096, 100_000] {
        let (near, far) = pair(&server, &client, pipe).await;
        let (mut near, mut far) = (RawPeer::new(near), RawPeer::new(far));
        for length in [1, 2, 15, 16_384, 16_385, 70_000, 200_000 / 7] {
            let sent = noise(length);
            let reading = async {
                while far.buffer.len() < length {
                    far.read_more().await.expect("more comes");
                }
                far.buffer.split_to(length)
            };
            let both = async { tokio::join!(near.write(&sent), reading) };
            let (written, read) = timeout(PATIENCE, both).await.expect("no side waits forever");
            written.expect("it is read");
            assert!(read == sent, "{length} bytes through {pipe}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_whole_before_it_is_out() {
    let (server, client) = both_sides();
    let (near, far) = pair(&server, &client, 1_000).await;
    let (_, mut writer) = near.into_parts();
    let bytes = noise(3_000);
    let mut taken = 0;
    let error = loop {
        match writer.try_write_vectored(&[io::IoSlice::new(&bytes[taken..])]) {
            Ok(more) => taken += more,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(taken, bytes.len() - 1, "the last byte waits until all ciphertext is written");
    let (mut reader, _far) = far.into_parts();
    let mut read = BytesMut::new();
    let reading = async {
        while read.len() < bytes.len() {
            reader.read_buf(&mut read).await.expect("there is some");
        }
    };
    let writing = async {
        while taken < bytes.len() {
            poll_fn(|cx| writer.poll_write_ready(cx)).await.expect("it is read");
            match writer.try_write_vectored(&[io::IoSlice::new(&bytes[taken..])]) {
                Ok(more) => taken += more,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    };
    let both = async { tokio::join!(reading, writing) };
    timeout(PATIENCE, both).await.expect("no side waits forever");
    assert!(read == bytes, "each byte once");
}

#[tokio::test(start_paused = true)]
async fn both_versions_are_spoken_and_named() {
    for (version, name) in [(&TLS12, "TLSv1_2"), (&TLS13, "TLSv1_3")] {
        let authority = Authority::new();
        let provider = rustls::crypto::ring::default_provider();
        let config = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[version])
            .expect("ring has both")
            .with_root_certificates({
                let mut roots = rustls::RootCertStore::empty();
                use rustls::pki_types::pem::PemObject;
                let root =
                    rustls::pki_types::CertificateDer::from_pem_slice(authority.pem().as_bytes());
                roots.add(root.expect("PEM")).expect("a root");
                roots
            })
            .with_no_client_auth();
        let client = ClientTls::with_config(config).server_name(crate::support::certificates::NAME);
        let world = super::world(&authority.server());
        let connected = super::connect(&world, &client).await.expect("it is accepted");
        connected.ping().await.expect("a pong");
        let here = connected.peer();
        let there = world.newest();
        for peer in [&here, &there] {
            let tls = peer.tls().expect("there is TLS");
            assert_eq!(format!("{:?}", tls.version()), name);
            assert_eq!(tls.alpn(), Some(&b"veltix/1"[..]));
        }
        assert_eq!(here.tls().map(|tls| tls.certificates().len()), Some(1));
        assert_eq!(there.tls().map(|tls| tls.certificates().len()), Some(0));
        assert_eq!(there.tls().and_then(|tls| tls.server_name()), Some("server.test"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_not_stalled() {
    const LENGTH: usize = 100_000;
    let authority = Authority::new();
    let config = ServerConfig::default().heartbeat(None).tls(authority.server());
    // One KiB per second, with a deadline of ten seconds without a byte.
    let world = World::with(config, 1_024, Router::new());
    let stream = world.connector.stream().await.expect("it listens");
    let mut raw = RawPeer::new(authority.client().connect(stream).await.expect("a client"));
    raw.shake_hands().await.expect("it is let in");
    let peer = world.newest();
    peer.try_send(&Message::new(OTHER, vec![7; LENGTH])).expect("there is room");
    while raw.buffer.len() < LENGTH + 15 {
        sleep(Duration::from_secs(1)).await;
        raw.read_more().await.expect("the connection goes on");
    }
    assert!(!peer.is_closed());
}

/// Reads to the end.
async fn to_the_end(peer: &mut RawPeer) -> io::Error {
    let reading = async {
        loop {
            if let Err(error) = peer.read_more().await {
                return error;
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("it ends")
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_from_a_cut() {
    let (server, client) = both_sides();
    let tls = |error: &io::Error| error.get_ref()?.downcast_ref::<TlsError>().cloned();

    let (near, far) = pair(&server, &client, 100_000).await;
    let (mut near, mut far) = (RawPeer::new(near), RawPeer::new(far));
    near.write(b"last words").await.expect("there is room");
    near.end();
    let end = to_the_end(&mut far).await;
    assert_eq!((end.kind(), tls(&end)), (io::ErrorKind::UnexpectedEof, None));
    assert_eq!(far.buffer, "last words");
    far.buffer.clear();
    // The other direction continues.
    far.write(b"and mine").await.expect("there is room");
    far.end();
    to_the_end(&mut near).await;
    assert_eq!(near.buffer, "and mine");
    near.buffer.advance(8);

    // If the pipe is too narrow for the close notification, it is truncated there.
    let (near, far) = pair(&server, &client, 10).await;
    let (_, mut writer) = near.into_parts();
    let wrote = writer.try_write_vectored(&[io::IoSlice::new(b"never whole")]);
    assert_eq!(wrote.expect("all but the last byte"), 10);
    drop(writer);
    let cut = to_the_end(&mut RawPeer::new(far)).await;
    assert_eq!((cut.kind(), tls(&cut)), (io::ErrorKind::UnexpectedEof, Some(TlsError::Truncated)));
}
