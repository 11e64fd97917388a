//! Surveys at the moment of their deadline.

use std::task::Waker;

use veltix_core::{MessageType, all};

use super::*;
use crate::session::Reception;
use crate::transport::memory;
use crate::{Client, ClientConfig, Router, Server, ServerConfig};

/// An answer is first removed from its call and then sent to the survey. The deadline may fall
/// between the two steps. The answer then still counts, exactly once.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_on_its_way_at_the_deadline_counts_once() {
    let (listener, connector) = memory(1 << 16);
    let server = Server::with_listener(listener, ServerConfig::default(), Router::new());
    let server = server.expect("the config works");
    let hub = server.hub();
    let running = tokio::spawn(server.run());
    let connect = Client::connect_with(connector, ClientConfig::default(), Router::new());
    let client = connect.await.expect("it connects");
    let question = Message::empty(MessageType::new(200, "question", ""));
    let limit = Duration::from_secs(1);
    let mut survey = hub.to(all()).request(&question).expect("it is encoded").timeout(limit);
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(survey.poll_response(cx).is_pending());
    let (peer, id) = (survey.asked[0].peer.clone(), survey.asked[0].call.expect("asked").id);
    let received = peer.session().calls().lock().receive(question.with_id(id));
    let Reception::Answer(completed) = received else { panic!("it is an answer: {received:?}") };
    tokio::time::advance(2 * limit).await;
    assert!(survey.poll_response(cx).is_pending(), "it has not timed out");
    completed.complete();
    let Poll::Ready(Some((_, response))) = survey.poll_response(cx) else {
        panic!("the answer is returned")
    };
    assert!(matches!(response, Response::Reply(_)), "{response:?}");
    assert!(matches!(survey.poll_response(cx), Poll::Ready(None)));
    drop((client, running));
}
