//! Surveys of many peers, and what races in them: each responds once.

use std::collections::HashSet;
use std::future::{IntoFuture, pending};

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use veltix::{Response, Router, ServerConfig, Text, all};

use super::seconds;
use super::survey::{answering, question};
use crate::promises::paused;
use crate::support::{ECHO, PIPE, World, quiet};

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
        assert_eq!(replied + late, 50, "each answer was taken, or late");
    });
}

/// On threads and the real clock: answers, ends of connections and the deadline race each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_races_everybody_responds_once() {
    for round in 0..40_u64 {
        let world = World::with(ServerConfig::default(), PIPE, Router::new());
        let mut clients = Vec::new();
        for n in 0..24_u64 {
            let answer = move |Text(text): Text| async move {
                sleep(std::time::Duration::from_micros(n * 200)).await;
                if n % 8 == 7 {
                    pending::<()>().await;
                }
                text
            };
            clients.push(world.client(Router::new().route(ECHO, answer)).await);
        }
        while world.hub.count(all()).unwrap() < clients.len() {
            tokio::task::yield_now().await;
        }
        let limit = std::time::Duration::from_micros(1_000 + round * 50);
        let survey = world.hub.to(all()).request(&question()).unwrap().timeout(limit);
        let leaving = clients.iter().enumerate().filter(|(n, _)| n % 3 == 0);
        let leaving: Vec<_> = leaving.map(|(_, client)| client.clone()).collect();
        let leave = tokio::spawn(join_all(leaving.into_iter().map(|client| async move {
            tokio::task::yield_now().await;
            client.close().await
        })));
        let responses = tokio::spawn(survey.into_future()).await.expect("no panic");
        let who: HashSet<_> = responses.responses.iter().map(|(peer, _)| peer.id()).collect();
        assert_eq!((who.len(), responses.responses.len()), (24, 24), "in round {round}");
        leave.await.expect("no panic");
    }
}
