//! Peers above their rate that hear of it: one call a second, and no plain send.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use veltix::{Client, Msg, Rate, Rejection, RequestError, Router, ServerConfig};

use crate::support::{PIPE, World};

const SECOND: Duration = Duration::from_secs(1);

#[veltix::message]
enum Api {
    #[message(code = 300, reply = Found, error = Refused)]
    Look,
    #[message(code = 301)]
    Found,
    #[message(code = 302)]
    Refused { wait: Option<Duration> },
    /// A question without a declared error.
    #[message(code = 303, reply = Found)]
    Peek,
}

impl From<&Rejection> for Refused {
    fn from(rejection: &Rejection) -> Self {
        let wait = match rejection {
            Rejection::TooFast { retry_after } => Some(*retry_after),
            _ => None,
        };
        Self { wait }
    }
}

/// A server that lets each peer send ten messages a second, and a client of it.
async fn connected(rate: Rate) -> (World, Client) {
    let router = Router::new().on(|_: Msg<Look>| Found).on(|_: Msg<Peek>| Found);
    let rate = rate.messages_per_second(10).disconnect_after(None);
    let world = World::with(ServerConfig::default().peer_rate(rate), PIPE, router);
    let client = world.client(Router::new()).await;
    (world, client)
}

/// Calls at twice the rate for ten seconds. Returns the time of each refusal, and its wait.
async fn flood(client: &Client) -> Vec<(Duration, Duration)> {
    let (start, mut refused) = (Instant::now(), Vec::new());
    while start.elapsed() < 10 * SECOND {
        match client.request(&Look).timeout(60 * SECOND).await {
            Ok(Found) => {}
            Err(RequestError::Remote(Refused { wait })) => {
                refused.push((start.elapsed(), wait.expect("the peer is too fast")));
            }
            Err(error) => panic!("{error}"),
        }
        sleep(SECOND / 20).await;
    }
    refused
}

#[tokio::test(start_paused = true)]
async fn a_peer_above_its_rate_hears_of_it_once_a_second() {
    let (world, client) = connected(Rate::default().tell_peers(true)).await;
    let refused = flood(&client).await;
    assert!((5..=10).contains(&refused.len()), "{refused:?}");
    for pair in refused.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= SECOND, "{refused:?}");
    }
    assert!(refused.iter().all(|(_, wait)| (SECOND / 100..SECOND).contains(wait)), "{refused:?}");
    let received = world.newest().stats().received;
    assert_eq!(received.rejected, refused.len() as u64);
    assert_eq!(received.handled + received.rejected, received.received, "nothing else is lost");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_waits_as_told_is_not_refused_again() {
    let (_world, client) = connected(Rate::default().tell_peers(true)).await;
    let mut refused = 0;
    for _ in 0..60 {
        if let Err(RequestError::Remote(Refused { wait })) = client.request(&Look).await {
            refused += 1;
            // It goes on at half of its rate.
            sleep(wait.expect("the peer is too fast") + SECOND / 5).await;
        }
        let pause = if refused == 0 { SECOND / 100 } else { SECOND / 5 };
        sleep(pause).await;
    }
    assert_eq!(refused, 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_a_peer_is_only_slowed() {
    let (_world, client) = connected(Rate::default()).await;
    assert_eq!(flood(&client).await, []);
}

#[tokio::test(start_paused = true)]
async fn plain_sends_and_messages_without_an_error_hear_nothing() {
    let (world, client) = connected(Rate::default().tell_peers(true)).await;
    let peer = world.newest();
    for _ in 0..50 {
        client.send(&Look).await.unwrap();
    }
    for _ in 0..50 {
        client.request(&Peek).timeout(60 * SECOND).await.unwrap();
    }
    let received = peer.stats().received;
    assert_eq!((received.handled, received.rejected), (100, 0));
}
