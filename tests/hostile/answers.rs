//! R37: answers that arrive late, twice, in another order, and under ids that were used before.

use std::time::Duration;

use fastrand::Rng;
use futures::stream::{FuturesUnordered, StreamExt};
use veltix::{Client, ClientConfig, Message, RequestError, Router};

use crate::promises::{number, numbered, paused};
use crate::support::{ECHO, PIPE, RawPeer, RawServer, seed};

/// The number of seeds of a test.
const SEEDS: u64 = 500;

/// The number of calls per seed.
const CALLS: u32 = 1_000;

/// The maximum number of calls that are in flight at the same time.
const AT_ONCE: usize = 64;

/// Starts a server that leaves its clients only 300 ids, so that each id is used several times.
const FEW_IDS: &str = r#"{"v": "2.0.3", "pv": "1.0", "meta": {"id_window": 32467}}"#;

/// How the calls of a seed completed.
#[derive(Default)]
struct Ends {
    answered: u32,
    late: u32,
}

/// Answers calls as no honest peer does, until the connection ends.
async fn answer(mut raw: RawPeer, mut rng: Rng) {
    // Calls that are not answered yet, or that will be answered once more.
    let mut asked: Vec<(u16, u32)> = Vec::new();
    while let Ok(question) = raw.next().await {
        asked.push((question.id().value(), number(question.body())));
        // Some answers are immediate, some arrive after others, some long after the timeout, some
        // never.
        while asked.len() > 8 && rng.u8(..4) > 0 {
            let which = rng.usize(..asked.len());
            let (id, nonce) = match rng.u8(..8) {
                0 => asked[which],
                _ => asked.swap_remove(which),
            };
            let answer = numbered(ECHO, nonce);
            let times = if rng.u8(..5) == 0 { 2 } else { 1 };
            for _ in 0..times {
                let body = answer.body().clone();
                if raw.send(answer.code(), id, body).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn ask(seed: u64) -> Ends {
    let mut rng = Rng::with_seed(seed);
    let mut server = RawServer::new(PIPE);
    let connector = server.connector.clone();
    let (client, raw) = tokio::join!(
        Client::connect_with(connector, ClientConfig::default(), Router::new()),
        async {
            let mut raw = server.accept().await;
            raw.welcome(FEW_IDS).await.expect("the handshake works");
            raw
        }
    );
    let client = client.expect("it connects");
    let answering = tokio::spawn(answer(raw, rng.fork()));
    let mut ends = Ends::default();
    let mut calls = FuturesUnordered::new();
    for nonce in 0..CALLS {
        let request = client.request(&numbered(ECHO, nonce));
        let request = request.timeout(Duration::from_millis(rng.u64(1..30)));
        // Some calls are dropped before they complete.
        let patience = Duration::from_millis(if rng.u8(..10) == 0 { rng.u64(1..5) } else { 100 });
        calls.push(async move { (nonce, tokio::time::timeout(patience, request).await) });
        if calls.len() == AT_ONCE || rng.u8(..8) == 0 {
            record(calls.next().await, &mut ends);
        }
    }
    while let Some(ended) = calls.next().await {
        record(Some(ended), &mut ends);
    }
    let received = client.close().await.received;
    assert_eq!(received.received, received.handled + received.discarded(), "{received:?}");
    assert_eq!(received.handled, u64::from(ends.answered), "only answers before the timeout count");
    answering.await.expect("it does not panic");
    ends.late = u32::try_from(received.discarded_late).expect("there are few");
    ends
}

type Ended = (u32, Result<Result<Message, RequestError>, tokio::time::error::Elapsed>);

fn record(ended: Option<Ended>, ends: &mut Ends) {
    match ended {
        Some((nonce, Ok(Ok(answer)))) => {
            assert_eq!(number(answer.body()), nonce, "the answer belongs to another call");
            ends.answered += 1;
        }
        Some((_, Ok(Err(RequestError::Timeout { .. })) | Err(_))) | None => {}
        Some((nonce, Ok(Err(error)))) => panic!("{nonce} fails with {error}"),
    }
}

#[test]
fn r37_no_answer_is_taken_for_one_to_another_question() {
    let first = seed();
    for seed in (0..SEEDS).map(|nth| first.wrapping_add(nth)) {
        paused(async move {
            let ends = ask(seed).await;
            assert!(ends.answered > 100 && ends.late > 100, "seed {seed} covers too few cases");
        });
    }
}
