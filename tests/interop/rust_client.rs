//! Rust clients of a Python server.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use veltix::{
    Client, ClientConfig, ClientStatus, CloseReason, ConnectError, HandshakeError, Message,
    Reconnect, RequestError, Router,
};

use super::lab::{ASK_BACK, ECHO, MOTD, PING_ME, QUESTION, SAY, client, soon};
use super::order;
use super::python::Kind;
use super::run::cases;

cases!("Rust client": connect server_full exclusion in_order non_ascii ping requests late_answer kill restart many);

async fn connect(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let (first, _ears) = client(ClientConfig::default(), port).await;
    assert_eq!(first.peer().hello().version(), kind.version);
    python.event_with("connected", json!({ "index": 0 })).await;
    assert_eq!(soon("its end", first.close()).await.reason, CloseReason::Closed);
    python.event_with("disconnected", json!({ "index": 0 })).await;

    // The other direction.
    let (second, _ears) = client(ClientConfig::default(), port).await;
    python.event_with("connected", json!({ "index": 1 })).await;
    python.tell(json!({ "do": "close_client", "index": 1 })).await;
    assert_eq!(soon("its end", second.peer().closed()).await.reason, CloseReason::PeerClosed);
}

async fn server_full(kind: Kind) {
    let (mut python, port) = kind.server(0, &["--max-connection", "1"]).await;
    let (first, _ears) = client(ClientConfig::default(), port).await;
    python.event("connected").await;

    let config = ClientConfig::default().addr(format!("127.0.0.1:{port}"));
    let second = soon("a refusal", Client::connect(config.clone(), Router::new())).await;
    let full =
        matches!(second, Err(ConnectError::Handshake { source: HandshakeError::ServerFull, .. }));
    assert!(full, "{second:?}");

    // The connected client is not affected; the next one waits until it disconnects.
    first.ping().await.unwrap();
    let patient = config.reconnect(Reconnect::fixed(Duration::from_millis(20)).initial(true));
    let third = tokio::spawn(Client::connect(patient, Router::new()));
    soon("its end", first.close()).await;
    let third = soon("a place", third).await.unwrap().unwrap();
    third.ping().await.unwrap();
}

async fn exclusion(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let (_ann, mut ann_hears) = client(ClientConfig::default(), port).await;
    python.event_with("connected", json!({ "index": 0 })).await;
    let (_bob, mut bob_hears) = client(ClientConfig::default(), port).await;
    python.event_with("connected", json!({ "index": 1 })).await;

    let not_ann =
        json!({ "do": "broadcast", "code": SAY.code(), "text": "not ann", "except": [0] });
    python.tell(not_ann).await;
    python.tell(json!({ "do": "broadcast", "code": MOTD.code(), "text": "to all" })).await;
    assert_eq!(bob_hears.next(SAY).await.text().unwrap(), "not ann");
    assert_eq!(bob_hears.next(MOTD).await.text().unwrap(), "to all");
    assert_eq!(ann_hears.next(MOTD).await.text().unwrap(), "to all");
}

async fn in_order(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let (client, mut ears) = client(ClientConfig::default(), port).await;
    python.event("connected").await;

    let burst = json!({ "index": 0 });
    order::check(kind, &mut python, burst, &client.peer(), &mut ears).await;
}

async fn non_ascii(kind: Kind) {
    const TEXT: &str = "Grüße, 日本語, \u{1f980}, \u{0} and \u{7f}";
    let (mut python, port) = kind.server(0, &[]).await;
    let (client, mut ears) = client(ClientConfig::default(), port).await;
    python.event("connected").await;

    python.tell(json!({ "do": "send", "index": 0, "code": MOTD.code(), "text": TEXT })).await;
    assert_eq!(ears.next(MOTD).await.text().unwrap(), TEXT);
    let say = json!({ "from": "José", "text": TEXT });
    python.tell(json!({ "do": "send", "index": 0, "code": SAY.code(), "json": say })).await;
    assert_eq!(ears.next(SAY).await.json::<Value>().unwrap(), say);

    client.send(&Message::from_text(MOTD, TEXT)).await.unwrap();
    assert_eq!(python.message(MOTD.code()).await["text"], TEXT);
    client.send(&Message::from_json(SAY, &say).unwrap()).await.unwrap();
    python.hears("José", TEXT).await;
}

async fn ping(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let (client, _ears) = client(ClientConfig::default(), port).await;
    python.event("connected").await;
    client.ping().await.unwrap();
    python.tell(json!({ "do": "ping_client", "index": 0 })).await;
    // A second call in one direction while the first waits for the other direction.
    let answer = client.request(&Message::empty(PING_ME)).expect(PING_ME).await.unwrap();
    assert_eq!(answer.text().unwrap(), "pong");
}

async fn requests(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let (client, _ears) = client(ClientConfig::default(), port).await;
    python.event("connected").await;

    let answer = client.request(&Message::from_text(ECHO, "an echo")).expect(ECHO).await.unwrap();
    assert_eq!(answer.text().unwrap(), "an echo");
    let ask = |n| {
        let client = client.clone();
        async move {
            let question = Message::from_text(ASK_BACK, format!("question {n}"));
            let answer = client.request(&question).expect(ASK_BACK).await.unwrap();
            assert_eq!(answer.text().unwrap(), format!("QUESTION {n}"));
        }
    };
    join_all((0..25).map(ask)).await;

    let question = json!({ "do": "request_client", "index": 0, "code": 212, "text": "ask me" });
    python.asks(question, "ASK ME").await;
    let calls = json!({ "do": "calls", "index": 0, "code": 212, "threads": 25, "each": 4 });
    python.tell(calls).await;
}

async fn late_answer(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let (client, mut ears) = client(ClientConfig::default(), port).await;
    python.event("connected").await;
    let ping = json!({ "do": "ping_client", "index": 0 });

    // The lab receives this call and does not answer.
    let unanswered = json!({ "do": "request_client", "index": 0, "code": SAY.code(), "text": "?", "timeout": 0.2 });
    assert_eq!(python.try_tell(unanswered).await["error"], "Timeout");

    let question = Message::from_text(SAY, "?");
    let call = client.request(&question).timeout(Duration::from_millis(200));
    assert!(matches!(call.await, Err(RequestError::Timeout { .. })));
    let id = &python.message(SAY.code()).await["id"];
    python.tell(json!({ "do": "send", "index": 0, "code": SAY.code(), "id": id })).await;
    // All data that was sent before the ping has been received when the ping is answered.
    python.tell(ping.clone()).await;
    assert_eq!(client.peer().stats().received.discarded_late, 1);

    // A message with the id of a pending call is its answer, even if it was sent as a plain message.
    // A second one is late.
    let call = tokio::spawn(client.request(&question));
    let id = &python.message(SAY.code()).await["id"];
    let answer =
        json!({ "do": "send", "index": 0, "code": SAY.code(), "id": id, "text": "in time" });
    python.tell(answer.clone()).await;
    python.tell(answer).await;
    python.tell(ping).await;
    assert_eq!(soon("the answer", call).await.unwrap().unwrap().text().unwrap(), "in time");
    assert_eq!(client.peer().stats().received.discarded_late, 2);
    ears.next(SAY).await;
    ears.heard_nothing();
}

async fn kill(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let (client, _ears) = client(ClientConfig::default(), port).await;
    let question = Message::from_text(SAY, "?");
    let call = tokio::spawn(client.request(&question).timeout(Duration::from_secs(60)));
    python.message(SAY.code()).await;

    python.process.kill().await;
    let call = soon("the call's end", call).await.unwrap();
    assert!(matches!(call, Err(RequestError::ConnectionLost)), "{call:?}");
    let end = soon("its end", client.peer().closed()).await;
    assert!(matches!(end.reason, CloseReason::PeerClosed | CloseReason::Io(_)), "{end:?}");
    let mut status = client.status();
    soon("the loss", status.wait_for(|status| matches!(status, ClientStatus::Lost { .. })))
        .await
        .unwrap();
}

async fn restart(kind: Kind) {
    let (mut python, port) = kind.server(0, &[]).await;
    let config = ClientConfig::default().reconnect(Reconnect::fixed(Duration::from_millis(50)));
    let (client, _ears) = client(config, port).await;
    python.event("connected").await;
    let mut status = client.status();

    // First the server restarts, and then its process.
    python.tell(json!({ "do": "close_all" })).await;
    let lost = status.wait_for(|status| *status != ClientStatus::Connected);
    soon("the loss", lost).await.unwrap();
    python.tell(json!({ "do": "start" })).await;
    let back = status.wait_for(|status| *status == ClientStatus::Connected);
    soon("a new connection", back).await.unwrap();
    python.event("connected").await;
    let again = Message::from_text(ASK_BACK, "again");
    assert_eq!(client.request(&again).expect(ASK_BACK).await.unwrap().text().unwrap(), "AGAIN");

    python.process.kill().await;
    let lost = status.wait_for(|status| *status != ClientStatus::Connected);
    soon("the loss", lost).await.unwrap();
    let (mut python, _port) = kind.server(port, &[]).await;
    let back = status.wait_for(|status| *status == ClientStatus::Connected);
    soon("a new connection", back).await.unwrap();
    python.event("connected").await;
    assert_eq!(client.request(&again).expect(ASK_BACK).await.unwrap().text().unwrap(), "AGAIN");
    let question =
        json!({ "do": "request_client", "index": 0, "code": QUESTION.code(), "text": "you" });
    python.asks(question, "YOU").await;
}

async fn many(kind: Kind) {
    let (_python, port) = kind.server(0, &[]).await;
    let clients = join_all((0..40).map(|_| client(ClientConfig::default(), port))).await;
    let call = |n: usize| {
        let client = clients[n / 25].0.clone();
        async move {
            let body = format!("client {} and call {}", n / 25, n % 25);
            let call = client.request(&Message::from_text(ECHO, body.clone())).expect(ECHO);
            let answer = call.timeout(Duration::from_secs(30)).await.unwrap();
            assert_eq!(answer.text().unwrap(), body);
        }
    };
    let calls: Vec<_> = (0..1000).map(|n| tokio::spawn(call(n))).collect();
    for answered in join_all(calls).await {
        answered.unwrap();
    }
}
