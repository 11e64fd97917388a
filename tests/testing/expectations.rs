//! The messages that expectations accept, and the text of their failures.

use veltix::testing::TestServer;
use veltix::{ClientConfig, ConnectError, Message, Router, ServerConfig, Text, tag};

use super::{chat, panic_of, seconds};
use crate::support::{ECHO, OTHER};

fn say(text: &str) -> Message {
    Message::from_text(OTHER, text)
}

#[tokio::test]
async fn messages_are_taken_in_order() {
    let server = TestServer::start(chat()).await;
    let (ann, mut bob) = (server.client("ann").await, server.client("bob").await);
    for number in 1..=5 {
        ann.send(&say(&number.to_string())).await;
    }
    assert_eq!(bob.expect(OTHER).await.text().unwrap(), "1");
    assert_eq!(bob.expect_any().await.text().unwrap(), "2");
    bob.expect_message(&say("3")).await;
    bob.expect_where("four", |message| message.text().ok() == Some("4")).await;
    server.settle().await;
    assert_eq!(bob.waiting().len(), 1);
    bob.expect(OTHER).await;
    bob.expect_nothing().await;
    assert_eq!(ann.request(&Message::from_text(ECHO, "me")).await.text().unwrap(), "me");
    assert!(server.shutdown().await.complete);
}

#[tokio::test]
async fn what_came_instead_is_said() {
    let server = TestServer::start(chat()).await;
    let (ann, mut bob) = (server.client("ann").await, server.client("bob").await);
    for text in ["first", "line\n\"two\"", "third"] {
        ann.send(&say(text)).await;
    }
    bob.expect(OTHER).await;
    server.settle().await;
    let line = line!() + 1;
    let text = panic_of(bob.expect(ECHO)).await;
    let expected = format!(
        r#"{}:{line}:29: bob expected a message of type echo(200), but received another message
bob has received:
  1. 201 "first" (taken before)
  2. 201 "line\n\"two\"" <- this one
  3. 201 "third"
bob is connected, as memory:2
events of the server:
  #1 (memory:1) connected
  #2 (memory:2) connected"#,
        file!()
    );
    assert_eq!(text, expected);
    // The failed expectation did not consume the message.
    let line = line!() + 1;
    let text = panic_of(bob.expect_nothing()).await;
    let begin = format!("{}:{line}:29: bob expected no message\n", file!());
    assert!(text.starts_with(&begin), "{text}");
    let text = panic_of(bob.expect_message(&say("2"))).await;
    assert!(text.contains("bob expected 201 \"2\", but received another message"), "{text}");
    let text = panic_of(bob.expect_where("a poem", |_| false)).await;
    assert!(text.contains("bob expected a poem, but received another message"), "{text}");
    bob.expect_message(&say("line\n\"two\"")).await;
}

#[tokio::test]
async fn nothing_means_that_nothing_is_on_its_way() {
    let late = |message: Message| async move {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        message
    };
    let server = TestServer::start(Router::new().route(ECHO, late)).await;
    let mut ann = server.client("ann").await;
    ann.send(&Message::empty(ECHO)).await;
    assert!(panic_of(ann.expect_nothing()).await.contains("\n  1. 200 \"\" <- this one\n"));
}

#[tokio::test]
async fn what_the_server_made_of_it_is_said() {
    let router = Router::new()
        .route(ECHO, |Text(text): Text| (text == "ok").then_some(()).ok_or("it is not ok"));
    let server = TestServer::start(router).await;
    let mut ann = server.client("ann").await;
    server.allow_failures();
    ann.send(&Message::from_text(ECHO, "no")).await;
    ann.send(&Message::new(ECHO, &b"\xff"[..])).await;
    ann.send(&say("hello?")).await;
    let start = tokio::time::Instant::now();
    let text = panic_of(ann.expect_any()).await;
    assert_eq!(start.elapsed(), seconds(10));
    for part in [
        "ann expected a message, but received nothing within 10s\nann has received:\n  nothing\n",
        "\n  the handler of code 200 failed for #1 (memory:1): it is not ok\n",
        "\n  a body of code 200 from #1 (memory:1) was rejected: ",
        "\n  no route takes code 201 of #1 (memory:1)",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    ann.link().cut();
    let text = panic_of(ann.request(&say("hello?"))).await;
    assert!(text.contains("ann received no reply: the connection ended"), "{text}");
    assert!(text.contains("\nann is reconnecting (attempt 1), as memory:1\n"), "{text}");
    assert!(
        text.ends_with("\n  #1 (memory:1) disconnected: the stream failed: connection reset"),
        "{text}"
    );
    assert!(panic_of(ann.send(&say("hello?"))).await.contains("ann could not send"));
}

#[tokio::test]
async fn a_client_has_routes_of_its_own() {
    let server = TestServer::start(chat()).await;
    let echo = Router::new().route(ECHO, |message: Message| message);
    let mut ann = server.client_with("ann", ClientConfig::default(), echo).await;
    let peer = server.peer(&ann);
    assert_eq!(peer.request(&Message::from_text(ECHO, "hi")).await.unwrap().text().unwrap(), "hi");
    peer.send(&say("not a route's")).await.unwrap();
    ann.expect(OTHER).await;
    ann.expect_nothing().await;
    // Expectations do not see messages that a fallback handles.
    let all = Router::new().fallback(|message: Message| message);
    let mut bob = server.client_with("bob", ClientConfig::default(), all).await;
    let peer = server.peer(&bob);
    peer.request(&say("hi")).await.unwrap();
    bob.expect_nothing().await;
}

#[tokio::test]
async fn a_client_may_be_refused() {
    let config = ServerConfig::default().max_connections(1);
    let server = TestServer::start_with(config, chat()).await;
    let ann = server.client("ann").await;
    let refused = server.connect("bob", ClientConfig::default(), Router::new()).await;
    assert!(matches!(refused, Err(ConnectError::Handshake { .. })), "{refused:?}");
    let line = line!() + 1;
    let text = panic_of(server.client("bob")).await;
    let begin = format!("{}:{line}:32: bob could not connect: the handshake", file!());
    assert!(text.starts_with(&begin), "{text}");
    ann.client().close().await;
    server.settle().await;
    server.client("bob").await;
    let text = panic_of(async { server.peer(&ann) }).await;
    assert!(text.starts_with("ann is not listed by the server\n"), "{text}");
}

#[tokio::test]
async fn a_client_is_listed_when_it_is_there() {
    let server = TestServer::start(chat()).await;
    let ann = server.client("ann").await;
    assert_eq!(server.hub().list(veltix::all()).unwrap(), [server.peer(&ann)]);
    assert!(server.peer(&ann).add_tag(("room", "lobby")).unwrap());
    assert_eq!(server.hub().count(tag("room").is("lobby")), Ok(1));
    assert_eq!(ann.name(), "ann");
}

#[tokio::test]
async fn a_message_may_come_after_others() {
    let server = TestServer::start(chat()).await;
    let (ann, mut bob) = (server.client("ann").await, server.client("bob").await);
    for text in ["1", "2", "3", "4"] {
        ann.send(&say(text)).await;
    }
    server.settle().await;
    server.peer(&bob).send(&Message::from_text(ECHO, "5")).await.unwrap();
    server.settle().await;
    ann.send(&say("6")).await;
    let three = |message: &Message| message.text().ok() == Some("3");
    bob.expect_eventually_where("three", three).await;
    assert_eq!(bob.expect(OTHER).await.text().unwrap(), "4", "those before are taken");
    assert_eq!(bob.expect_eventually(ECHO).await.text().unwrap(), "5");
    assert_eq!(bob.expect_eventually(OTHER).await.text().unwrap(), "6");
    bob.expect_nothing().await;
    // A failed expectation has taken nothing.
    ann.send(&say("7")).await;
    let line = line!() + 1;
    let text = panic_of(bob.expect_eventually(ECHO)).await;
    let begin = format!(
        "{}:{line}:29: bob expected a message of type echo(200) eventually, but received none within 10s\n",
        file!()
    );
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.contains("\n  7. 201 \"7\"\n"), "{text}");
    bob.expect_message(&say("7")).await;
}

#[tokio::test]
async fn a_typed_message_may_come_after_others() {
    #[veltix::message]
    enum News {
        #[message(code = 210)]
        Line { text: String },
    }
    let server = TestServer::start(chat()).await;
    let mut bob = server.client("bob").await;
    let peer = server.peer(&bob);
    peer.send(&say("noise")).await.unwrap();
    peer.send(&Line { text: "a \"word\"".to_owned() }).await.unwrap();
    assert_eq!(bob.expect_typed_eventually::<Line>().await.text, "a \"word\"");
    // JSON stands in a failure as it was sent.
    let text = panic_of(bob.expect_any()).await;
    assert!(text.contains(r#"  2. 210 {"text":"a \"word\""} (taken before)"#), "{text}");
    server.settle().await;
}
