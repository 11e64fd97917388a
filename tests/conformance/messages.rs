//! Messages, calls and broadcasts between a server and clients.

use tokio::sync::mpsc::unbounded_channel;
use veltix::{Message, Router, all};

use super::scene::{Scene, chat};
use super::transport::Transport;
use crate::support::{ECHO, OTHER, PATIENCE};

pub(super) async fn connect<T: Transport>(mut scene: Scene<T>) {
    let mut server = scene.serve(chat).await;
    let client = scene.client(Router::new()).await;
    let peer = server.next_peer().await;
    assert!(client.is_connected() && !peer.is_closed());
    assert_eq!(server.hub.list(all()).unwrap(), [peer]);
    // A client knows the address to which it connected.
    if T::NAME != "memory" {
        assert_eq!(client.peer().addr().to_string(), server.hub.local_addr().to_string());
    }
}

pub(super) async fn echo<T: Transport>(mut scene: Scene<T>) {
    scene.serve(chat).await;
    let (router, mut messages) = Router::new().messages();
    let client = scene.client(router).await;
    for length in [0, 1, 1023, 1024, 70_000] {
        let body = vec![7; length];
        client.send(&Message::new(ECHO, body.clone())).await.unwrap();
        assert_eq!(messages.next().await.unwrap().body(), &body);
    }
}

pub(super) async fn request_both_ways<T: Transport>(mut scene: Scene<T>) {
    let mut server = scene.serve(chat).await;
    let client = scene.client(Router::new().route(ECHO, |message: Message| message)).await;
    let peer = server.next_peer().await;
    for round in 0..20 {
        let question = Message::from_text(ECHO, round.to_string());
        let (answer, back) = tokio::join!(client.request(&question), peer.request(&question));
        assert_eq!(answer.unwrap().body(), question.body());
        assert_eq!(back.unwrap().body(), question.body());
    }
}

pub(super) async fn ping_both_ways<T: Transport>(mut scene: Scene<T>) {
    let mut server = scene.serve(chat).await;
    let client = scene.client(Router::new()).await;
    let peer = server.next_peer().await;
    let (there, back) = tokio::join!(client.ping(), peer.ping());
    assert!(there.unwrap() < PATIENCE && back.unwrap() < PATIENCE);
}

pub(super) async fn broadcast_with_exclusion<T: Transport>(mut scene: Scene<T>) {
    scene.serve(chat).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let (router, messages) = Router::new().messages();
        let client = scene.client(router).await;
        clients.push((client, messages));
    }
    for (author, (client, _)) in clients.iter().enumerate() {
        client.send(&Message::from_text(OTHER, author.to_string())).await.unwrap();
        // This makes the order of the senders the same for all clients.
        client.request(&Message::empty(ECHO)).await.unwrap();
    }
    for (reader, (_, messages)) in clients.iter_mut().enumerate() {
        for author in (0..5).filter(|author| *author != reader) {
            assert_eq!(messages.next().await.unwrap().text().unwrap(), author.to_string());
        }
    }
}

pub(super) async fn two_thousand_in_order<T: Transport>(mut scene: Scene<T>) {
    const MANY: usize = 2_000;
    let (tell, mut told) = unbounded_channel();
    let listen = move |message: Message| {
        tell.send(message.text().expect("text").parse::<usize>().expect("a number"))
            .expect("the case listens");
        message
    };
    scene.serve(|| Router::new().route(OTHER, listen.clone())).await;
    let (router, mut answers) = Router::new().messages();
    let client = scene.client(router).await;
    let sending = tokio::spawn(async move {
        for number in 0..MANY {
            client.send(&Message::from_text(OTHER, number.to_string())).await.unwrap();
        }
        client
    });
    for number in 0..MANY {
        assert_eq!(told.recv().await, Some(number));
        assert_eq!(answers.next().await.unwrap().text().unwrap(), number.to_string());
    }
    let client = sending.await.unwrap();
    assert_eq!(client.peer().stats().sent.written, MANY as u64 + 1, "and the ping");
}

pub(super) async fn three_megabytes_both_ways<T: Transport>(mut scene: Scene<T>) {
    scene.serve(chat).await;
    let client = scene.client(Router::new()).await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(7919) >> 8) as u8).collect();
    let large = Message::new(ECHO, body);
    for _ in 0..3 {
        let answer = client.request(&large).timeout(PATIENCE).await.unwrap();
        assert!(answer.body() == large.body(), "the body was returned unchanged");
    }
}
