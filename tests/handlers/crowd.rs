//! Surveys of many peers, and their races: each peer responds exactly once.

use std::collections::HashSet;
use std::future::{IntoFuture, pending};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use veltix::request::Response;
use veltix::{Client, Router, Text, all};

use super::seconds;
use super::survey::{answering, question};
use crate::promises::paused;
use crate::support::{ECHO, World, quiet};

#[test]
fn thousands_are_asked_together() {
    paused(async {
        const PEERS: usize = 2_000;
        let world = World::new(Router::new());
        let mut clients = Vec::new();
        for n in 0..PEERS {
            let answer = move || async move {
                sleep(seconds(n as u64 % 4)).await;
                n.to_string()
            };
            clients.push(world.client(Router::new().route(ECHO, answer)).await);
        }
        let start = Instant::now();
        let survey = world.hub.to(all()).request(&question()).unwrap().timeout(seconds(3) / 2);
        let responses = survey.await;
        assert_eq!(start.elapsed(), seconds(3) / 2);
        assert_eq!((responses.responses.len(), responses.replies().count()), (PEERS, PEERS / 2));
        let who: HashSet<_> = responses.responses.iter().map(|(peer, _)| peer.id()).collect();
        assert_eq!(who.len(), PEERS, "each responded once");
    });
}

#[test]
fn answers_at_the_very_deadline_count_once() {
    paused(async {
        let world = World::new(Router::new());
        let (_clients, peers) = answering(&world, &[2; 50]).await;
        let responses =
            world.hub.to(all()).request(&question()).unwrap().timeout(seconds(2)).await.responses;
        assert_eq!(responses.len(), 50);
        let replied =
            responses.iter().filter(|(_, r)| matches!(r, Response::Reply(_))).count() as u64;
        quiet().await;
        let late: u64 = peers.iter().map(|peer| peer.stats().received.discarded_late).sum();
        assert_eq!(replied + late, 50, "each answer was used or counted as late");
    });
}

/// Creates a world with `peers` clients that answer after two milliseconds. Every eighth client
/// never answers.
async fn crowd(peers: usize) -> (World, Vec<Client>) {
    let world = World::new(Router::new());
    let mut clients = Vec::new();
    for n in 0..peers {
        let answer = move |Text(text): Text| async move {
            sleep(Duration::from_millis(2)).await;
            if n % 8 == 7 {
                pending::<()>().await;
            }
            text
        };
        clients.push(world.client(Router::new().route(ECHO, answer)).await);
    }
    while world.hub.count(all()).unwrap() < peers {
        yield_now().await;
    }
    (world, clients)
}

/// Surveys the crowd on a task of its own, and checks that each peer responds exactly once.
async fn check_once(world: &World, peers: usize, limit: Duration) {
    let survey = world.hub.to(all()).request(&question()).unwrap().timeout(limit);
    let responses = tokio::spawn(survey.into_future()).await.expect("no panic");
    let who: HashSet<_> = responses.responses.iter().map(|(peer, _)| peer.id()).collect();
    assert_eq!((who.len(), responses.responses.len()), (peers, peers));
}

/// This test and the next use threads and the real clock: answers race the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_that_race_the_deadline_count_once() {
    const PEERS: usize = 300;
    let (world, _clients) = crowd(PEERS).await;
    for round in 0..60 {
        check_once(&world, PEERS, Duration::from_millis(1 + round % 4)).await;
    }
}

/// Connections end while peers are asked and while they answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ends_that_race_a_survey_count_once() {
    const PEERS: usize = 60;
    for _ in 0..20 {
        let (world, clients) = crowd(PEERS).await;
        let leave = tokio::spawn(async move {
            for client in clients {
                drop(client.close());
                yield_now().await;
            }
        });
        let asked = world.hub.to(all()).request(&question()).unwrap();
        let count = asked.roster().count();
        let responses = tokio::spawn(asked.into_future()).await.expect("no panic").responses;
        let who: HashSet<_> = responses.iter().map(|(peer, _)| peer.id()).collect();
        assert_eq!((who.len(), responses.len()), (count, count));
        leave.await.expect("no panic");
    }
}
