//! Python clients of a Rust server.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use veltix::{CloseReason, Event, HandshakeFailure, Message, RequestError, ServerConfig, all};

use super::lab::{Lab, MOTD, QUESTION, SAY, event, soon, until};
use super::order;
use super::python::Kind;
use super::run::cases;

cases!("Rust server": connect server_full exclusion in_order non_ascii ping requests late_answer kill restart many);

async fn connect(kind: Kind) {
    let mut lab = Lab::new().await;
    let mut python = kind.connected(lab.port).await;
    let peer = lab.joined().await;
    assert_eq!(peer.hello().version(), kind.version);
    assert!(!peer.hello().is_native());
    assert_eq!(lab.hub.count(all()), Ok(1));

    python.tell(json!({ "do": "disconnect" })).await;
    assert_eq!(soon("its end", peer.closed()).await.reason, CloseReason::PeerClosed);
    assert_eq!(lab.hub.count(all()), Ok(0));

    // The other direction.
    let mut python = kind.connected(lab.port).await;
    let peer = lab.joined().await;
    assert_eq!(soon("its end", peer.close()).await.reason, CloseReason::Closed);
    let end = python.event("disconnected").await;
    assert_eq!((&end["permanent"], &end["reason"]), (&json!(true), &json!("SERVER_CLOSED")));
}

async fn server_full(kind: Kind) {
    let mut lab = Lab::with(ServerConfig::default().max_connections(1), 0).await;
    let mut first = kind.connected(lab.port).await;
    assert!(lab.hub.is_full());

    let mut second = kind.client(lab.port, &[]);
    let error = second.event("error").await;
    assert_eq!(error["error"], "ServerFullError");
    assert_eq!(error["message"], "server_full");
    let failure = event(&mut lab.events, "a refused peer", |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(failure.await, HandshakeFailure::ServerFull);

    // The connected client is not affected, and its slot goes to the next one.
    first.tell(json!({ "do": "ping" })).await;
    first.tell(json!({ "do": "disconnect" })).await;
    until("there is room", || !lab.hub.is_full()).await;
    kind.connected(lab.port).await.tell(json!({ "do": "ping" })).await;
}

async fn exclusion(kind: Kind) {
    let mut lab = Lab::new().await;
    let mut ann = kind.connected(lab.port).await;
    let ann_here = lab.joined().await;
    let mut bob = kind.connected(lab.port).await;
    lab.joined().await;

    let say = Message::from_json(SAY, &json!({ "from": "the server", "text": "not ann" }));
    let delivery = lab.hub.to(all()).except(&ann_here).send(&say.unwrap()).unwrap();
    assert_eq!((delivery.matched, delivery.queued), (1, 1));
    let delivery = lab.hub.broadcast(&Message::from_text(MOTD, "to all")).unwrap();
    assert_eq!((delivery.matched, delivery.queued), (2, 2));

    bob.hears("the server", "not ann").await;
    assert_eq!(bob.message(MOTD.code()).await["text"], "to all");
    assert_eq!(ann.message(MOTD.code()).await["text"], "to all");
    ann.heard_none(SAY.code());
}

async fn in_order(kind: Kind) {
    let mut lab = Lab::new().await;
    let mut python = kind.connected(lab.port).await;
    let peer = lab.joined().await;

    order::check(kind, &mut python, json!({}), &peer, &mut lab.ears).await;
}

async fn non_ascii(kind: Kind) {
    const TEXT: &str = "Grüße, 日本語, \u{1f980}, \u{0} and \u{7f}";
    let mut lab = Lab::new().await;
    let mut python = kind.connected(lab.port).await;
    let peer = lab.joined().await;

    // As text, both sides write UTF-8. In JSON, Python escapes non-ASCII characters, and Rust does
    // not.
    python.tell(json!({ "do": "send", "code": MOTD.code(), "text": TEXT })).await;
    assert_eq!(lab.ears.next(MOTD).await.text().unwrap(), TEXT);
    let say = json!({ "from": "José", "text": TEXT });
    python.tell(json!({ "do": "send", "code": SAY.code(), "json": say })).await;
    let heard = lab.ears.next(SAY).await;
    assert!(heard.body().is_ascii());
    assert_eq!(heard.json::<Value>().unwrap(), say);

    peer.send(&Message::from_text(MOTD, TEXT)).await.unwrap();
    assert_eq!(python.message(MOTD.code()).await["text"], TEXT);
    peer.send(&Message::from_json(SAY, &say).unwrap()).await.unwrap();
    python.hears("José", TEXT).await;
}

async fn ping(kind: Kind) {
    let mut lab = Lab::new().await;
    let mut python = kind.connected(lab.port).await;
    let peer = lab.joined().await;
    python.tell(json!({ "do": "ping" })).await;
    peer.ping().await.unwrap();
    // A second call in one direction while the first waits for the other direction.
    python.asks(json!({ "do": "request", "code": 214 }), "pong").await;
}

async fn requests(kind: Kind) {
    let mut lab = Lab::new().await;
    let mut python = kind.connected(lab.port).await;
    let peer = lab.joined().await;

    python.asks(json!({ "do": "request", "code": 210, "text": "an echo" }), "an echo").await;
    python.asks(json!({ "do": "request", "code": 211, "text": "ask me" }), "ASK ME").await;
    python.tell(json!({ "do": "calls", "code": 210, "threads": 25, "each": 4 })).await;

    let ask = |n| {
        let peer = peer.clone();
        async move {
            let question = Message::from_text(QUESTION, format!("question {n}"));
            let answer = peer.request(&question).expect(QUESTION).await.unwrap();
            assert_eq!(answer.text().unwrap(), format!("QUESTION {n}"));
        }
    };
    join_all((0..100).map(ask)).await;
}

async fn late_answer(kind: Kind) {
    let mut lab = Lab::new().await;
    let mut python = kind.connected(lab.port).await;
    let peer = lab.joined().await;

    // The lab receives this call and does not answer.
    let unanswered = json!({ "do": "request", "code": SAY.code(), "text": "?", "timeout": 0.2 });
    assert_eq!(python.try_tell(unanswered).await["error"], "Timeout");

    let question = Message::from_text(SAY, "?");
    let call = peer.request(&question).timeout(Duration::from_millis(200));
    assert!(matches!(call.await, Err(RequestError::Timeout { .. })));
    let id = &python.message(SAY.code()).await["id"];
    let answer = json!({ "do": "send", "code": SAY.code(), "id": id, "text": "late" });
    python.tell(answer.clone()).await;
    // All data that was sent before the ping has been received when the ping is answered.
    python.tell(json!({ "do": "ping" })).await;
    assert_eq!(peer.stats().received.discarded_late, 1);

    // A message with the id of a pending call is its answer, even if it was sent as a plain message.
    // A second one is late.
    let call = tokio::spawn(peer.request(&question));
    let id = &python.message(SAY.code()).await["id"];
    let answer = json!({ "do": "send", "code": SAY.code(), "id": id, "text": "in time" });
    python.tell(answer.clone()).await;
    python.tell(answer).await;
    python.tell(json!({ "do": "ping" })).await;
    assert_eq!(soon("the answer", call).await.unwrap().unwrap().text().unwrap(), "in time");
    assert_eq!(peer.stats().received.discarded_late, 2);
    lab.ears.next(SAY).await;
    lab.ears.heard_nothing();
}

async fn kill(kind: Kind) {
    let mut lab = Lab::new().await;
    let mut python = kind.connected(lab.port).await;
    let peer = lab.joined().await;
    let question = Message::from_text(SAY, "?");
    let call = tokio::spawn(peer.request(&question).timeout(Duration::from_secs(60)));
    python.message(SAY.code()).await;

    python.process.kill().await;
    let call = soon("the call's end", call).await.unwrap();
    assert!(matches!(call, Err(RequestError::ConnectionLost)), "{call:?}");
    let end = soon("its end", peer.closed()).await;
    assert!(matches!(end.reason, CloseReason::PeerClosed | CloseReason::Io(_)), "{end:?}");
    assert_eq!(lab.hub.count(all()), Ok(0));
    kind.connected(lab.port).await.tell(json!({ "do": "ping" })).await;
}

async fn restart(kind: Kind) {
    let mut lab = Lab::new().await;
    let mut python = kind.client(lab.port, &["--retry", "100", "--retry-delay", "0.1"]);
    python.event("connected").await;
    lab.joined().await;

    let report = soon("the shutdown", lab.hub.shutdown()).await;
    assert_eq!((report.connections, report.complete), (1, true));
    let lost = json!({ "permanent": false, "reason": "SERVER_CLOSED" });
    python.event_with("disconnected", lost).await;

    let mut lab = Lab::with(ServerConfig::default(), lab.port).await;
    python.event("connected").await;
    let peer = lab.joined().await;
    python.asks(json!({ "do": "request", "code": 211, "text": "again" }), "AGAIN").await;
    let question = Message::from_text(QUESTION, "again");
    assert_eq!(peer.request(&question).await.unwrap().text().unwrap(), "AGAIN");
}

async fn many(kind: Kind) {
    // By default one address may have 32 handshakes at a time, so that it cannot use all slots. A
    // server that expects 40 at once from one machine must raise the limit.
    let config = ServerConfig::default().max_pending_handshakes(512, 40);
    let lab = Lab::with(config, 0).await;
    // It echoes, and its calls are answered by calls.
    for code in [210, 211] {
        let report = kind.many(lab.port, code).await;
        assert_eq!((&report["connected"], &report["ok"]), (&json!(40), &json!(1000)), "{report}");
    }
}
