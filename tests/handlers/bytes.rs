//! Queues are bounded in bytes, not only in number: messages of concurrent calls, answers to a
//! survey, texts of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use tokio::time::sleep;
use veltix::handler::Handler;
use veltix::limits::{CONCURRENT_BYTES, EVENT_BUFFER, SURVEY_BYTES};
use veltix::request::Response;
use veltix::{Event, Message, MessageType, RequestError, Router, ServerConfig, all};

use super::seconds;
use crate::promises::paused;
use crate::support::{Door, ECHO, OTHER, PIPE, World, quiet};

/// The size of each large body.
const SIZE: usize = 1 << 20;

#[test]
fn concurrent_calls_hold_a_bounded_number_of_bytes() {
    paused(async {
        let door = Door::new();
        let running = Arc::new(AtomicUsize::new(0));
        let (gate, count) = (door.clone(), Arc::clone(&running));
        let handler = move |message: Message| {
            let (door, running) = (gate.clone(), Arc::clone(&count));
            async move {
                running.fetch_add(1, Ordering::Relaxed);
                door.pass().await;
                drop(message);
            }
        };
        let router = Router::new().route(ECHO, handler.concurrent(1_000));
        let world = World::with(ServerConfig::default(), PIPE, router);
        let client = world.client(Router::new()).await;
        let peer = world.newest();
        let sender = client.clone();
        tokio::spawn(async move {
            for _ in 0..40 {
                sender.send(&Message::new(ECHO, vec![7; SIZE])).await.expect("it is open");
            }
        });
        sleep(seconds(1)).await;
        let at_once = CONCURRENT_BYTES / SIZE;
        assert_eq!(running.load(Ordering::Relaxed), at_once);
        // Those that run, the inbox with 1 MiB, and the frame that is read.
        assert!(peer.stats().received.received <= at_once as u64 + 2);
        // Each call that ends lets another one begin, and nothing is lost.
        for ended in 1..=40 {
            door.open(1);
            sleep(seconds(1)).await;
            assert_eq!(running.load(Ordering::Relaxed), (at_once + ended).min(40));
        }
        let received = peer.stats().received;
        // Pings are handled, too.
        assert_eq!((received.handled, received.waiting), (received.received, 0));
        // Small messages are not affected.
        let client = world.client(Router::new()).await;
        for _ in 0..100 {
            client.send(&Message::empty(ECHO)).await.expect("it is open");
        }
        quiet().await;
        assert_eq!(running.load(Ordering::Relaxed), 140);
    });
}

#[test]
fn one_large_message_runs_at_a_time() {
    paused(async {
        let door = Door::new();
        let gate = door.clone();
        let handler = move |message: Message| {
            let door = gate.clone();
            async move {
                door.pass().await;
                message.body().len().to_string()
            }
        };
        let world = World::new(Router::new().route(ECHO, handler.concurrent(10)));
        let client = world.client(Router::new()).await;
        let large = Message::new(ECHO, vec![7; CONCURRENT_BYTES + SIZE]);
        let (one, other) = (client.request(&large), client.request(&large));
        door.open(2);
        let (one, other) = tokio::join!(one, other);
        for answer in [one, other] {
            let answer = answer.expect("an answer");
            assert_eq!(answer.text().unwrap(), large.body().len().to_string());
        }
    });
}

#[test]
fn unread_answers_to_a_survey_are_bounded_and_each_peer_still_responds() {
    paused(async {
        const CLIENTS: usize = 6;
        let quarter = SURVEY_BYTES / 4;
        let config = ServerConfig::default();
        let world = World::with(config, PIPE, Router::new());
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let answer = move || Message::new(OTHER, vec![7; quarter]);
            clients.push(world.client(Router::new().route(ECHO, answer)).await);
        }
        let mut survey = world.hub.to(all()).request(&Message::empty(ECHO)).expect("it is encoded");
        // The question is sent at the first poll, and then nobody reads.
        let first = survey.next().await.expect("a response");
        assert!(matches!(first.1, Response::Reply(_)));
        sleep(seconds(1)).await;
        let mut congested = 0;
        let mut replies = 1;
        while let Some((_, response)) = survey.next().await {
            match response {
                Response::Reply(_) => replies += 1,
                Response::Failed(RequestError::Congested { limit: SURVEY_BYTES }) => congested += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(replies + congested, CLIENTS);
        // Those that had arrived when the first was read count, too.
        assert!((4..=5).contains(&replies), "{replies} replies");
    });
}

/// A peer may choose what a handler puts into its error.
#[test]
fn texts_of_events_are_short() {
    paused(async {
        const FAIL: MessageType = MessageType::new(210, "fail", "");
        const PANIC: MessageType = MessageType::new(211, "panic", "");
        let text = |message: &Message| message.text().expect("text").to_owned();
        let router = Router::new()
            .route(FAIL, move |message: Message| Err::<(), _>(text(&message)))
            .route(PANIC, move |message: Message| -> () { panic!("{}", text(&message)) });
        let world = World::new(router);
        let mut events = world.hub.events();
        let long = "\u{202e}".repeat(SIZE / 3);
        for (code, rounds) in [(FAIL, 20), (PANIC, 1)] {
            let client = world.client(Router::new()).await;
            for _ in 0..rounds {
                client.send(&Message::from_text(code, long.clone())).await.expect("it is open");
            }
            sleep(seconds(1)).await;
        }
        let (mut texts, mut longest) = (0, 0);
        while let Some(Some(event)) = events.next().now_or_never() {
            let length = format!("{event:?}").len();
            longest = longest.max(length);
            texts += usize::from(matches!(
                event,
                Event::HandlerFailed { .. } | Event::HandlerPanicked { .. }
            ));
        }
        assert_eq!(texts, 21);
        let most = longest * EVENT_BUFFER;
        assert!(most < 4 << 20, "a full buffer of events holds {most} bytes of texts");
    });
}
