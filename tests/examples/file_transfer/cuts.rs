//! Transfers that are interrupted, and go on where they were.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{self, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use veltix::{Client, ClientConfig, Reconnect, Router, Server, ServerConfig};

use super::protocol::Stored;
use super::sender::{Source, TransferError, WINDOW, send};
use super::*;

const LENGTH: usize = 20_000_000;

#[tokio::test]
async fn a_file_arrives_over_a_link_that_is_cut_twice() {
    let disk = Disk::new();
    let server = disk.server().await;
    let ann = server.client("ann").await;
    let source = Source::open(disk.file("a.bin", LENGTH)).await.unwrap();
    let cuts = RefCell::new(vec![15_000_000, 5_000_000]);
    let told = RefCell::new(Vec::new());
    let progress = |bytes| {
        told.borrow_mut().push(bytes);
        if cuts.borrow_mut().pop_if(|at| *at <= bytes).is_some() {
            ann.link().cut();
            ann.link().heal();
        }
    };
    send(ann.client(), &source, progress).await.unwrap();
    disk.assert_arrived("a.bin", LENGTH);
    assert!(cuts.borrow().is_empty());
    let told = told.into_inner();
    assert!(told.is_sorted(), "it has begun again: {told:?}");
    assert_eq!((told.first(), told.last()), (Some(&0), Some(&source.size())));
}

/// Nobody of either side is left of the first attempt, only the disk.
#[tokio::test]
async fn a_part_outlives_both_programs() {
    let disk = Disk::new();
    let content = bytes(3 * CHUNK);
    {
        let server = disk.server().await;
        let ann = server.client("ann").await;
        ann.request(&offer("a.bin", &content)).await;
        ann.request(&chunk(0, &content[..CHUNK])).await;
        assert!(server.shutdown().await.complete);
    }
    let server = disk.server().await;
    let ann = server.client("ann").await;
    let Stored { bytes, complete } = ann.request(&offer("a.bin", &content)).await;
    assert_eq!((bytes, complete), (CHUNK as u64, false));
    let source = Source::open(disk.file("a.bin", content.len())).await.unwrap();
    let told = RefCell::new(Vec::new());
    send(ann.client(), &source, |bytes| told.borrow_mut().push(bytes)).await.unwrap();
    assert_eq!(told.into_inner()[0], CHUNK as u64);
    disk.assert_arrived("a.bin", content.len());
}

#[tokio::test]
async fn who_never_comes_back_is_given_up() {
    let disk = Disk::new();
    let server = disk.server().await;
    let attempts = Reconnect::fixed(Duration::from_secs(1)).attempts(3);
    let config = ClientConfig::default().reconnect(attempts);
    let ann = server.client_with("ann", config, Router::new()).await;
    let source = Source::open(disk.file("a.bin", LENGTH)).await.unwrap();
    let sent = send(ann.client(), &source, |_| ann.link().cut()).await;
    assert!(matches!(sent, Err(TransferError::Lost(_))), "{sent:?}");
}

/// The same over TCP, where it can be counted what was sent twice: at most what was on its way.
#[tokio::test]
async fn little_is_sent_again_over_tcp() {
    const CUTS: [u64; 2] = [5_000_000, 9_000_000];
    let disk = Disk::new();
    let config = ServerConfig::default().addr("127.0.0.1:0");
    let server = Server::bind(config, receiver::router(disk.store())).await.unwrap();
    let (to, hub) = (server.local_addr().to_string(), server.hub());
    let running = tokio::spawn(server.run());
    let (addr, proxy) = cutting_proxy(to, CUTS).await;

    let reconnect = Reconnect::fixed(Duration::from_millis(5));
    let config = ClientConfig::default().addr(addr).reconnect(reconnect);
    let client = Client::connect(config, Router::new()).await.unwrap();
    let source = Source::open(disk.file("a.bin", LENGTH)).await.unwrap();
    send(&client, &source, |_| {}).await.unwrap();
    disk.assert_arrived("a.bin", LENGTH);
    client.close().await;
    hub.shutdown().await;
    running.await.unwrap().unwrap();

    let carried = timeout(Duration::from_secs(10), proxy).await.expect("it was cut twice").unwrap();
    // Each cut may waste a window; headers, offers and handshakes are some bytes more.
    let most = (LENGTH + CUTS.len() * WINDOW * CHUNK + 50_000) as u64;
    assert!((LENGTH as u64..=most).contains(&carried), "{carried} bytes for {LENGTH}");
}

/// Listens on a port that leads to another one. Each entry of `cuts` is the number of bytes after
/// which a connection is cut. The connection after these is not cut; when it has ended, the task
/// returns the bytes that all connections have carried.
async fn cutting_proxy<const N: usize>(to: String, cuts: [u64; N]) -> (String, JoinHandle<u64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let proxy = tokio::spawn(async move {
        let mut carried = 0;
        for limit in cuts.into_iter().chain([u64::MAX]) {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&to).await.unwrap();
            carried += carry(near, far, limit).await;
        }
        carried
    });
    (addr, proxy)
}

/// Carries bytes until either side ends, or until `limit` bytes were carried to the far side.
/// Returns the number of bytes that were carried there.
async fn carry(near: TcpStream, far: TcpStream, limit: u64) -> u64 {
    let ((near_in, mut near_out), (mut far_in, mut far_out)) =
        (near.into_split(), far.into_split());
    let mut near_in = near_in.take(limit);
    tokio::select! {
        _ = io::copy(&mut near_in, &mut far_out) => {}
        _ = io::copy(&mut far_in, &mut near_out) => {}
    }
    limit - near_in.limit()
}
