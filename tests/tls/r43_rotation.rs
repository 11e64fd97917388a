//! R43: certificates are replaced while clients connect and stay connected.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use veltix::tls::{Certificate, CertificateStore, ServerTls};
use veltix::{Client, Message};

use super::{connect, world};
use crate::support::certificates::{Authority, NAME};
use crate::support::{ECHO, TempDir};

const ROTATIONS: usize = 20;
const STAYING: usize = 5;
const COMING: usize = 4;

/// Returns the certificate that a new client receives.
fn shown(client: &Client) -> Vec<u8> {
    let peer = client.peer();
    peer.tls().expect("there is TLS").certificates()[0].to_vec()
}

#[tokio::test]
async fn r43_rotation_drops_nobody_and_refuses_nobody() {
    let authority = Authority::new();
    let store = CertificateStore::new(authority.issue(NAME).certificate());
    let world = Arc::new(world(&ServerTls::new(store.clone()).expect("it works")));
    let mut staying = Vec::new();
    for _ in 0..STAYING {
        staying.push(connect(&world, &authority.client()).await.expect("it is accepted"));
    }
    let (come, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let coming: Vec<_> = (0..COMING)
        .map(|_| {
            let (world, tls) = (Arc::clone(&world), authority.client());
            let (come, over) = (Arc::clone(&come), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let client = connect(&world, &tls).await.expect("no handshake fails");
                    client.ping().await.expect("a pong");
                    client.close().await;
                    come.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..ROTATIONS {
        let renewed = authority.issue(NAME).certificate();
        store.replace(renewed.clone());
        // A new client receives the new certificate, even if other sessions are resumed.
        let new = connect(&world, &authority.client()).await.expect("it is accepted");
        assert_eq!(shown(&new), renewed.chain()[0].to_vec());
        // Handshakes continue during all replacements.
        let before = come.load(Ordering::Relaxed);
        while come.load(Ordering::Relaxed) < before + COMING {
            tokio::task::yield_now().await;
        }
        for client in &staying {
            client.request(&Message::empty(ECHO)).await.expect("the session goes on");
        }
    }
    over.store(true, Ordering::Relaxed);
    for coming in coming {
        coming.await.expect("0 failed handshakes");
    }
    assert!(staying.iter().all(Client::is_connected), "0 dropped sessions");
}

#[tokio::test]
async fn r43_a_bad_file_leaves_the_old_certificate() {
    let authority = Authority::new();
    let dir = TempDir::new();
    let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
    let issued = authority.issue(NAME);
    fs::write(&chain, &issued.chain).expect("it can be written");
    fs::write(&key, &issued.key).expect("it can be written");
    let read = || Certificate::from_pem_files(&chain, &key);
    let store = CertificateStore::new(read().expect("both are there"));
    let world = world(&ServerTls::new(store.clone()).expect("it works"));
    let old = shown(&connect(&world, &authority.client()).await.expect("it is accepted"));
    // In the middle of a renewal: first a truncated file, then a chain that does not match the key.
    let renewed = authority.issue(NAME);
    for bad in [&renewed.chain[..renewed.chain.len() / 2], &renewed.chain] {
        fs::write(&chain, bad).expect("it can be written");
        read().expect_err("there is no valid replacement");
        let now = shown(&connect(&world, &authority.client()).await.expect("it is accepted"));
        assert_eq!(now, old);
    }
    fs::write(&key, &renewed.key).expect("it can be written");
    store.replace(read().expect("both are new"));
    let now = shown(&connect(&world, &authority.client()).await.expect("it is accepted"));
    assert_eq!(now, store.current().chain()[0].to_vec());
    assert_ne!(now, old);
}

#[tokio::test(start_paused = true)]
async fn r43_a_client_shows_its_new_certificate_when_it_comes_again() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let tls = servers.server().require_client_certificates(clients.roots()).expect("roots");
    let world = world(&tls);
    let store = CertificateStore::new(clients.issue("ann").certificate());
    let tls = servers.client().certificate(store.clone());
    let reconnect = veltix::Reconnect::fixed(std::time::Duration::from_millis(10));
    let config = veltix::ClientConfig::default().tls(tls).reconnect(reconnect);
    let client = world.client_with(config, veltix::Router::new()).await;
    let renewed = clients.issue("ann").certificate();
    store.replace(renewed.clone());
    let mut status = client.status();
    status.mark_unchanged();
    client.ping().await.expect("a pong");
    world.newest().close().await;
    status.changed().await.expect("the client lives");
    client.connected().await.expect("it tries again");
    client.ping().await.expect("a pong");
    let seen = world.newest().tls().expect("there is TLS").certificates()[0].to_vec();
    assert_eq!(seen, renewed.chain()[0].to_vec());
}
