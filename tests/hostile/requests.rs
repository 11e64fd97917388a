//! R35, R36, R38 and R39: calls, and the peers that may answer them.

use std::io::{Read, Write};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;
use tokio::time::{Instant, sleep};
use veltix::handler::Handler;
use veltix::request::Request;
use veltix::transport::memory;
use veltix::{
    Client, ClientConfig, Message, Peer, RequestError, RequestId, Router, Server, ServerConfig, all,
};

use super::honest::{echo, join, serve};
use crate::support::alone::measured;
use crate::support::{ECHO, OTHER, PIPE, World, frame};

/// The maximum number of calls that a side may have in flight.
const IDS: usize = 32_767;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r35_nobody_else_can_answer() {
    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let router = Router::new().fallback(move |id: RequestId| told.send(id.value()));
    let (hub, addr) = serve(ServerConfig::default(), router).await;
    let (mut asked, peer) = join(&hub, addr);
    let mut call = peer.request(&Message::from_text(OTHER, "who answers?"));
    assert!((&mut call).now_or_never().is_none());
    let mut question = frame(OTHER.code(), 0, "who answers?");
    tokio::task::block_in_place(|| asked.read_exact(&mut question)).unwrap();
    let (mut forger, forging) = join(&hub, addr);
    for id in 0..=u16::MAX {
        forger.write_all(&frame(OTHER.code(), id, "forged")).unwrap();
    }
    tokio::task::block_in_place(|| echo(&forger, "all is read")).unwrap();
    assert!((&mut call).now_or_never().is_none(), "0 are accepted");
    let received = forging.stats().received;
    // The others are messages with ids of the forger's own half, next to our plain id and two
    // echoes.
    assert_eq!((received.discarded_late, received.handled), (32_767, 32_769 + 2));
    for own in 0..=32_768 {
        assert_eq!(tells.recv().await, Some(own));
    }
    let id = u16::from_be_bytes([question[13], question[14]]);
    asked.write_all(&frame(OTHER.code(), id, "I do")).unwrap();
    assert_eq!(call.await.unwrap().text().unwrap(), "I do");
    measured(35, format_args!("0 accepted, {} late", received.discarded_late));
}

/// Begins as many calls as a side may have in flight.
fn exhaust(peer: &Peer) -> Vec<Request> {
    let question = Message::empty(OTHER);
    let mut calls: Vec<_> = (0..IDS).map(|_| peer.request(&question)).collect();
    assert!(calls.iter_mut().all(|call| call.now_or_never().is_none()));
    calls
}

#[tokio::test(start_paused = true)]
async fn r36_ids_run_out_at_once_and_all_come_back() {
    let (listener, connector) = memory(PIPE);
    let config = ServerConfig::default().outbox(2 * IDS, 64 << 20);
    let silent = Router::new().fallback(|| {});
    let server = Server::with_listener(listener, config, silent).unwrap();
    let hub = server.hub();
    tokio::spawn(server.run());
    let config = ClientConfig::default().outbox(2 * IDS, 64 << 20);
    let client = Client::connect_with(connector, config, Router::new()).await.unwrap();
    let server = hub.list(all()).unwrap().remove(0);
    for peer in [&server, &client.peer()] {
        // Ids of calls that timed out rest for a minute. Afterwards all ids are available again.
        for _ in 0..2 {
            let calls = exhaust(peer);
            // The first measurement may be interrupted by another process.
            let took = (0..5).map(|_| {
                let begun = std::time::Instant::now();
                let next = peer.request(&Message::empty(OTHER)).now_or_never();
                let took = begun.elapsed();
                assert!(matches!(next, Some(Err(RequestError::IdsExhausted(_)))), "{next:?}");
                took
            });
            let took = took.min().unwrap();
            measured(36, format_args!("{IDS} calls in flight; the next fails in {took:.1?}"));
            assert!(took <= Duration::from_millis(1), "{took:?}");
            for call in calls {
                let ended = call.await;
                assert!(matches!(ended, Err(RequestError::Timeout { .. })), "{ended:?}");
            }
            sleep(MINUTE).await;
        }
    }
    let calls = exhaust(&server);
    drop(client);
    for call in calls {
        let ended = call.await;
        assert!(matches!(ended, Err(RequestError::ConnectionLost)), "{ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r38_a_lost_connection_fails_a_thousand_calls_at_once() {
    let world = World::new(Router::new());
    let (mut raw, peer) = world.join().await;
    let mut calls: Vec<_> =
        (0..1_000).map(|_| peer.request(&Message::empty(OTHER)).timeout(MINUTE)).collect();
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
        raw.next().await.unwrap();
    }
    drop(raw);
    let begun = Instant::now();
    let ended = join_all(calls).await;
    assert!(begun.elapsed() <= Duration::from_millis(10), "{:?}", begun.elapsed());
    let lost = |ended: &&Result<Message, _>| matches!(ended, Err(RequestError::ConnectionLost));
    assert_eq!(ended.iter().filter(lost).count(), 1_000);
    measured(38, format_args!("1000 errors after {:?}", begun.elapsed()));
}

/// Handlers of both sides call the other side, with as many concurrent calls as allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r39_handlers_of_both_sides_at_their_limits_await_each_other() {
    const LIMIT: usize = 4;
    const ROUNDS: usize = 25;
    let router = || {
        let relay = |peer: Peer, body: Bytes| async move {
            // One answer of the protocol and one of the application.
            peer.ping().await?;
            peer.request(&Message::new(ECHO, body)).await
        };
        Router::new().route(OTHER, relay.concurrent(LIMIT))
    };
    let (hub, addr) = serve(ServerConfig::default(), router()).await;
    let config = ClientConfig::default().addr(addr.to_string());
    let client = Client::connect(config, router().route(ECHO, |body: Bytes| body)).await.unwrap();
    let server = hub.list(all()).unwrap().remove(0);
    let begun = Instant::now();
    for round in 0..ROUNDS {
        let calls = [client.peer(), server.clone()].into_iter().flat_map(|peer| {
            (0..LIMIT)
                .map(move |n| peer.request(&Message::from_text(OTHER, format!("{round} {n}"))))
        });
        for (n, answer) in join_all(calls).await.into_iter().enumerate() {
            let answer = answer.expect("no timeout");
            assert_eq!(answer.text().unwrap(), format!("{round} {}", n % LIMIT));
        }
    }
    let calls = 2 * ROUNDS * LIMIT;
    measured(39, format_args!("{calls} calls at both limits, 0 timeouts, {:.1?}", begun.elapsed()));
}
