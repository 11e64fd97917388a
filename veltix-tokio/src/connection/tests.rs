//! Reading while calls begin and end on other threads.

use std::future::pending;
use std::sync::Arc;
use std::thread;

use tokio::task::yield_now;
use veltix_core::{Message, MessageType, all};

use crate::peer::Peer;
use crate::session::{ReplySink, SurveyAnswers};
use crate::transport::memory;
use crate::{Client, ClientConfig, Router, Server, ServerConfig};

const MESSAGE: MessageType = MessageType::new(200, "message", "");
/// Some bursts of them, which all fit the inbox while a call is pending.
const MESSAGES: u64 = 3_000;

/// Has calls of this peer begin and end, as other threads may at any moment, until its stream
/// has ended. Each call wakes the connection when it must, as the calls of applications do.
///
/// The mutex of the calls is not fair. So the thread pauses with and without a pending call: otherwise the
/// connection would see one of the two states for many seconds.
fn call_now_and_then(peer: &Peer) {
    let answers = SurveyAnswers::new().0;
    loop {
        let sink = ReplySink::Survey { index: 0, answers: Arc::clone(&answers) };
        let begun = peer.session().calls().lock().begin_open(MESSAGE.code(), sink);
        let Ok(begun) = begun else { return };
        if begun.must_wake {
            peer.session().outbox().wake_owner();
        }
        thread::yield_now();
        let caller = peer.session().calls().lock().take_back(begun.call);
        drop(caller);
        thread::yield_now();
    }
}

/// A call lets reading go on past a full inbox. It may begin between one look and the next, and
/// then what is left of one batch must not give way to the next, nor to the end.
///
/// The clock is paused, and this task is always ready, so that no deadline passes on a busy machine: after
/// some of them the connection gives up what it has not read.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_reading_may_go_on_at_any_moment() {
    let (listener, connector) = memory(1 << 20);
    let router = Router::new().route(MESSAGE, pending::<()>);
    let server = Server::with_listener(listener, ServerConfig::default(), router);
    let server = server.expect("the config works");
    let hub = server.hub();
    let running = tokio::spawn(server.run());
    for round in 0..10 {
        let config = ClientConfig::default();
        let connect = Client::connect_with(connector.clone(), config, Router::new());
        let client = connect.await.expect("it connects");
        let peers = hub.list(all()).expect("it is valid");
        let peer = peers.into_iter().max_by_key(Peer::id).expect("it is listed");
        for _ in 0..MESSAGES {
            client.send(&Message::empty(MESSAGE)).await.expect("there is room");
        }
        drop(client);
        let caller = peer.clone();
        let calls = thread::spawn(move || call_now_and_then(&caller));
        while !calls.is_finished() {
            yield_now().await;
        }
        calls.join().expect("no panic");
        assert_eq!(peer.stats().received.received, MESSAGES, "in round {round}");
    }
    running.abort();
}
