//! The example `rate_limit`: a layer written by an application.

use tokio::time::{Instant, sleep};
use veltix::stats::Received;
use veltix::{Msg, RequestError, Router, Text};

use super::{ask, rejection, seconds};
use crate::promises::paused;
use crate::support::{ECHO, OTHER, World};

#[path = "../../examples/rate_limit.rs"]
#[allow(dead_code, reason = "its `main` is for people")]
mod example;

use example::{Bucket, Found, Look, RateLimit, Refused};

const LIMIT: RateLimit = RateLimit { per_second: 2.0, burst: 10.0, price: |_| 1.0 };

/// A route that declares an error, whose conversion from a rejection is in the example.
#[test]
fn a_call_above_the_rate_is_told_so_and_a_plain_send_is_not() {
    paused(async {
        let look = async |_: Msg<Look>| Found("a look".to_owned());
        let world = World::new(Router::new().on(look).layer(RateLimit { burst: 2.0, ..LIMIT }));
        let client = world.client(Router::new()).await;
        let (peer, mut events) = (world.newest(), world.hub.events());
        for _ in 0..2 {
            client.request(&Look).await.unwrap();
        }
        let refused = client.request(&Look).await;
        let Err(RequestError::Remote(Refused { retry_after_ms: 500, why })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(why, "the peer sends too fast: wait for 500ms before the next call");
        assert_eq!(rejection(&mut events).await, why);
        let sent = peer.stats().sent.accepted;
        client.send(&Look).await.unwrap();
        assert_eq!(rejection(&mut events).await, why);
        let stats = peer.stats();
        let Received { handled, rejected, .. } = stats.received;
        assert_eq!((handled, rejected, stats.sent.accepted), (2, 2, sent), "it hears nothing");
        sleep(seconds(1) / 2).await;
        client.request(&Look).await.unwrap();
    });
}

fn echo(Text(text): Text) -> String {
    text
}

#[test]
fn a_bucket_pays_what_it_holds_and_fills_with_time() {
    paused(async {
        let start = Instant::now();
        let mut bucket = Bucket::full(LIMIT.burst, start);
        assert_eq!(bucket.pay(8.0, LIMIT, start), Ok(()));
        assert_eq!(
            bucket.pay(5.0, LIMIT, start),
            Err(seconds(3) / 2),
            "three tokens at two a second"
        );
        assert_eq!(bucket.pay(2.0, LIMIT, start), Ok(()), "rejected messages cost no tokens");
        assert_eq!(bucket.pay(5.0, LIMIT, start + seconds(2)), Err(seconds(1) / 2));
        assert_eq!(bucket.pay(5.0, LIMIT, start + seconds(3)), Ok(()));
        assert_eq!(
            bucket.pay(10.0, LIMIT, start + seconds(99)),
            Ok(()),
            "the bucket is full again"
        );
        assert!(bucket.pay(0.1, LIMIT, start + seconds(99)).is_err());
    });
}

#[test]
fn the_rate_limit_is_each_peer_s_own_over_all_routes() {
    paused(async {
        let price = |code| if code == OTHER.code() { 4.0 } else { 1.0 };
        let limit = RateLimit { price, ..LIMIT };
        let world = World::new(Router::new().route(ECHO, echo).route(OTHER, echo).layer(limit));
        let mut events = world.hub.events();
        let mut one = world.raw().await;
        for code in [OTHER.code(), OTHER.code(), ECHO.code(), ECHO.code()] {
            assert_eq!(ask(&mut one, code, "paid").await.text().unwrap(), "paid");
        }
        one.send(OTHER.code(), 1, "not paid").await.unwrap();
        let told = rejection(&mut events).await;
        assert_eq!(told, "the peer sends too fast: wait for 2s before the next call");
        let mut two = world.raw().await;
        assert_eq!(ask(&mut two, OTHER.code(), "paid").await.text().unwrap(), "paid");
        sleep(seconds(2)).await;
        assert_eq!(ask(&mut one, OTHER.code(), "paid").await.text().unwrap(), "paid");
    });
}
