//! Surveys: a call to many peers, each of which responds exactly once.

use std::collections::HashSet;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep, timeout};
use veltix::request::{Response, Responses, SurveyStatus};
use veltix::typed::TypedMessage;
use veltix::{Client, Hub, Message, Peer, RequestError, Router, ServerConfig, Text, all, tag};

use super::seconds;
use super::typed::{Divide, Fault, Quotient};
use crate::promises::paused;
use crate::support::{Door, ECHO, OTHER, PIPE, RawPeer, World, frame, quiet};

pub(super) fn question() -> Message {
    Message::from_text(ECHO, "who is there?")
}

/// Connects clients that answer after these numbers of seconds, and returns the server's handles in
/// the same order.
pub(super) async fn answering(world: &World, delays: &[u64]) -> (Vec<Client>, Vec<Peer>) {
    let (mut clients, mut peers) = (Vec::new(), Vec::new());
    for &delay in delays {
        let answer = move |Text(text): Text| async move {
            sleep(seconds(delay)).await;
            format!("{text} {delay}")
        };
        clients.push(world.client(Router::new().route(ECHO, answer)).await);
        peers.push(world.newest());
    }
    (clients, peers)
}

/// Connects raw peers, whose answers the test sends itself.
async fn silent<const N: usize>(world: &World) -> [(RawPeer, Peer); N] {
    let mut peers = Vec::new();
    for _ in 0..N {
        peers.push(world.join().await);
    }
    peers.try_into().unwrap_or_else(|_| unreachable!("there are N"))
}

/// Returns the peers and their responses, in the order of the responses.
fn statuses<R, E>(responses: &Responses<R, E>) -> Vec<(u64, &'static str)> {
    let name = |response: &Response<R, E>| match response {
        Response::Reply(_) => "reply",
        Response::TimedOut => "timed out",
        Response::Left => "left",
        Response::Full => "full",
        Response::Failed(_) => "failed",
        _ => "unknown",
    };
    responses.responses.iter().map(|(peer, response)| (peer.id().value(), name(response))).collect()
}

#[test]
fn everybody_is_asked_at_once_and_responds_once() {
    paused(async {
        let world = World::new(Router::new());
        let (_clients, peers) = answering(&world, &[3, 1, 2]).await;
        let start = Instant::now();
        let responses = world.hub.to(all()).request(&question()).unwrap().await;
        assert_eq!(start.elapsed(), seconds(3));
        assert!(responses.is_enough() && responses.given_up.is_empty());
        let replies: Vec<_> = responses
            .replies()
            .map(|(peer, reply)| (peer.clone(), reply.text().unwrap()))
            .collect();
        let text = |n| format!("who is there? {n}");
        let expected =
            [(peers[1].clone(), text(1)), (peers[2].clone(), text(2)), (peers[0].clone(), text(3))];
        assert_eq!(replies, expected.each_ref().map(|(peer, text)| (peer.clone(), &**text)));
    });
}

#[test]
fn each_question_of_a_foreign_task_is_sent_at_once() {
    paused(async {
        let world = World::new(Router::new());
        let [(mut raw, _)] = silent(&world).await;
        // The first call wakes the connection's task in any case; the second is only one more
        // frame.
        let mut surveys = Vec::new();
        for _ in 0..2 {
            let mut survey = world.hub.to(all()).request(&question()).unwrap();
            let (asked, answered) =
                tokio::join!(timeout(seconds(1), raw.next()), timeout(seconds(1), survey.next()));
            assert_eq!(asked.expect("it is sent").unwrap().code(), ECHO.code());
            assert!(answered.is_err(), "nobody answers");
            surveys.push(survey);
        }
    });
}

#[test]
fn an_answer_is_read_past_a_full_inbox_although_the_handler_of_another_asks() {
    paused(async {
        let (tell, mut told) = unbounded_channel();
        let ask = move |hub: Hub, asker: Peer| {
            let tell = tell.clone();
            async move {
                let survey = hub.to(all()).except(&asker).request(&question()).unwrap();
                tell.send(statuses(&survey.await)).unwrap();
            }
        };
        let router = Router::new().route(ECHO, Door::new().handler()).route(OTHER, ask);
        let config = ServerConfig::default().inbox(1, 1 << 20);
        let world = World::with(config, PIPE, router);
        let [(mut busy, _), (mut asker, _)] = silent(&world).await;
        // All in one write, so that reading pauses before the stream is empty and no later data of
        // the peer wakes its task.
        let burst: Vec<u8> = (0..9).flat_map(|id| frame(ECHO.code(), id, "").to_vec()).collect();
        busy.write(&burst).await.unwrap();
        quiet().await;
        let start = Instant::now();
        asker.send(OTHER.code(), 1, "").await.unwrap();
        let asked = busy.next().await.unwrap().id().value();
        busy.send(ECHO.code(), asked, "here").await.unwrap();
        assert_eq!(told.recv().await.unwrap(), [(1, "reply")]);
        assert_eq!(start.elapsed(), seconds(0));
    });
}

#[test]
fn who_has_not_answered_at_the_deadline_has_timed_out() {
    paused(async {
        let world = World::new(Router::new());
        let (_clients, _) = answering(&world, &[1, 9, 2, 8]).await;
        let start = Instant::now();
        let survey = world.hub.to(all()).request(&question()).unwrap();
        let responses = survey.timeout(seconds(4)).await;
        assert_eq!(start.elapsed(), seconds(4));
        let mut seen = statuses(&responses);
        assert_eq!(seen[..2], [(1, "reply"), (3, "reply")]);
        seen[2..].sort_unstable();
        assert_eq!(seen[2..], [(2, "timed out"), (4, "timed out")]);
        assert!(!responses.is_enough());
        let default = world.hub.to(all()).request(&question()).unwrap().await;
        assert_eq!((default.responses.len(), start.elapsed()), (4, seconds(9)), "five by default");
        sleep(seconds(60)).await;
        let late: u64 = world
            .hub
            .list(all())
            .unwrap()
            .iter()
            .map(|peer| peer.stats().received.discarded_late)
            .sum();
        assert_eq!(late, 4, "their answers arrived and were discarded");
    });
}

#[test]
fn who_leaves_says_so_at_once() {
    paused(async {
        let world = World::new(Router::new());
        let [(one, _), (mut two, _), (_three, closed)] = silent(&world).await;
        let mut survey = world.hub.to(all()).request(&question()).unwrap();
        assert!(timeout(seconds(1), survey.next()).await.is_err(), "nobody has responded");
        let start = Instant::now();
        drop(one);
        let (peer, response) = survey.next().await.unwrap();
        assert!(peer.id().value() == 1 && matches!(response, Response::Left), "{response:?}");
        drop(closed.close());
        let (peer, response) = survey.next().await.unwrap();
        assert!(peer == closed && matches!(response, Response::Left), "{response:?}");
        let id = two.next().await.unwrap().id().value();
        two.send(OTHER.code(), id, "here").await.unwrap();
        let (_, response) = survey.next().await.unwrap();
        assert!(matches!(response, Response::Reply(_)), "{response:?}");
        assert!(survey.next().await.is_none() && survey.next().await.is_none());
        assert!(start.elapsed() < seconds(1));
    });
}

#[test]
fn who_left_before_it_was_sent_has_left() {
    paused(async {
        let world = World::new(Router::new());
        let [(_one, peer), (_two, _)] = silent(&world).await;
        let mut survey = world.hub.to(all()).request(&question()).unwrap();
        peer.close().await;
        let (left, response) = survey.next().await.unwrap();
        assert!(left == peer && matches!(response, Response::Left), "{response:?}");
    });
}

#[test]
fn who_has_no_room_is_full_and_is_not_asked() {
    paused(async {
        let config = ServerConfig::default().outbox(2, 16 << 20).write_stall(None).heartbeat(None);
        let world = World::with(config, 50, Router::new());
        let [(mut full, peer), (mut free, _)] = silent(&world).await;
        while peer.try_send(&Message::empty(OTHER)).is_ok() {
            quiet().await;
        }
        let mut survey = world.hub.to(all()).request(&question()).unwrap();
        let (first, response) = survey.next().await.unwrap();
        assert!(first == peer && matches!(response, Response::Full), "{response:?}");
        let asked = free.next().await.unwrap().id().value();
        free.send(OTHER.code(), asked, "").await.unwrap();
        assert!(matches!(survey.next().await.unwrap().1, Response::Reply(_)));
        assert!(survey.next().await.is_none());
        // Its id is free at once, because no peer can answer it.
        full.end();
        assert!(full.all().await.iter().all(|message| message.code() == OTHER.code()));
    });
}

#[test]
fn the_first_replies_are_enough_and_the_others_are_late() {
    paused(async {
        let world = World::new(Router::new());
        let (_clients, peers) = answering(&world, &[4, 1, 3, 2]).await;
        let start = Instant::now();
        let responses = world.hub.to(all()).request(&question()).unwrap().first(2).await;
        assert_eq!(start.elapsed(), seconds(2));
        assert!(responses.is_enough());
        assert_eq!(statuses(&responses), [(2, "reply"), (4, "reply")]);
        let given_up: HashSet<_> = responses.given_up.iter().map(Peer::id).collect();
        assert_eq!(given_up, HashSet::from([peers[0].id(), peers[2].id()]));
        sleep(seconds(3)).await;
        let late = |peer: &Peer| peer.stats().received.discarded_late;
        assert_eq!(peers.iter().map(late).collect::<Vec<_>>(), [1, 0, 1, 0]);
        let few =
            world.hub.to(all()).request(&question()).unwrap().first(5).timeout(seconds(9)).await;
        assert_eq!(few.responses.len(), 4, "with fewer peers, all of them");
        assert!(!few.is_enough());
    });
}

#[test]
fn a_quorum_ends_when_it_is_reached_or_cannot_be() {
    paused(async {
        let world = World::new(Router::new());
        let (clients, _peers) = answering(&world, &[1, 2, 3, 100, 100]).await;
        let start = Instant::now();
        let reached = world.hub.to(all()).request(&question()).unwrap().quorum(3).await;
        assert!(reached.is_enough() && reached.given_up.len() == 2);
        assert_eq!(start.elapsed(), seconds(3));

        let start = Instant::now();
        let survey =
            world.hub.to(all()).request(&question()).unwrap().timeout(seconds(600)).quorum(4);
        let leave = async {
            sleep(seconds(1)).await;
            clients[3].close().await;
            sleep(seconds(1)).await;
            clients[4].close().await;
        };
        let (missed, ()) = tokio::join!(survey, leave);
        assert!(!missed.is_enough());
        assert_eq!(start.elapsed(), seconds(2), "three of three could not be four");
        assert_eq!(missed.given_up.len(), 1);

        let sent = || {
            let peers = world.hub.list(all()).unwrap();
            peers.iter().map(|peer| peer.stats().sent.accepted).sum::<u64>()
        };
        let before = sent();
        let hopeless = world.hub.to(all()).request(&question()).unwrap().quorum(4).await;
        assert!(hopeless.responses.is_empty() && hopeless.given_up.len() == 3);
        assert_eq!(sent(), before, "nobody was asked");
    });
}

#[test]
fn a_dropped_survey_gives_its_calls_up() {
    paused(async {
        let world = World::new(Router::new());
        let [(mut raw, peer)] = silent(&world).await;
        let mut survey = world.hub.to(all()).request(&question()).unwrap();
        assert!(timeout(seconds(1), survey.next()).await.is_err());
        let asked = raw.next().await.unwrap().id().value();
        drop(survey);
        // The id rests: no other call receives it, and so no other call receives its late answer.
        let call = tokio::spawn(peer.request(&question()));
        let other = raw.next().await.unwrap().id().value();
        assert_ne!(asked, other);
        raw.send(OTHER.code(), asked, "late").await.unwrap();
        raw.send(OTHER.code(), other, "in time").await.unwrap();
        assert_eq!(call.await.unwrap().unwrap().text().unwrap(), "in time");
        let received = peer.stats().received;
        assert_eq!((received.discarded_late, received.handled), (1, 1));
        let unsent = world.hub.to(all()).request(&question()).unwrap();
        drop(unsent);
        quiet().await;
        assert_eq!(peer.stats().sent.accepted, 2, "nothing is sent before the first poll");
    });
}

#[test]
fn a_second_answer_is_late_and_counts_for_nothing() {
    paused(async {
        let world = World::new(Router::new());
        let [(mut one, peer), (_two, _)] = silent(&world).await;
        let mut survey = world.hub.to(all()).request(&question()).unwrap().timeout(seconds(2));
        assert!(timeout(seconds(1), survey.next()).await.is_err());
        let id = one.next().await.unwrap().id().value();
        for text in ["first", "second"] {
            one.send(OTHER.code(), id, text).await.unwrap();
        }
        let (_, response) = survey.next().await.unwrap();
        assert!(matches!(&response, Response::Reply(reply) if reply.text().unwrap() == "first"));
        assert!(matches!(survey.next().await.unwrap().1, Response::TimedOut));
        assert!(survey.next().await.is_none());
        assert_eq!((survey.replies(), peer.stats().received.discarded_late), (1, 1));
    });
}

#[test]
fn the_roster_says_where_each_of_them_stands() {
    paused(async {
        let world = World::new(Router::new());
        let [(mut one, _), (two, _), (_three, _), (_four, last)] = silent(&world).await;
        let mut survey =
            world.hub.to(all()).request(&question()).unwrap().timeout(seconds(3)).first(2);
        let stand = |survey: &veltix::request::Survey| {
            let mut roster: Vec<_> = survey.roster().map(|(peer, at)| (peer.id(), at)).collect();
            roster.sort_unstable_by_key(|(id, _)| *id);
            roster.into_iter().map(|(_, at)| at).collect::<Vec<_>>()
        };
        use SurveyStatus::{GivenUp, Left, Replied, TimedOut, Waiting};
        assert_eq!(stand(&survey), [Waiting; 4]);
        assert!(timeout(seconds(1), survey.next()).await.is_err());
        let id = one.next().await.unwrap().id().value();
        one.send(OTHER.code(), id, "").await.unwrap();
        survey.next().await.unwrap();
        assert_eq!(stand(&survey), [Replied, Waiting, Waiting, Waiting]);
        drop(two);
        survey.next().await.unwrap();
        assert_eq!(stand(&survey), [Replied, Left, Waiting, Waiting]);
        survey.next().await.unwrap();
        let now = stand(&survey);
        assert_eq!(now.iter().filter(|at| **at == TimedOut).count(), 1);
        survey.next().await.unwrap();
        assert_eq!(stand(&survey), [Replied, Left, TimedOut, TimedOut]);
        assert!(survey.next().await.is_none());

        let mut survey = world.hub.to(all()).except(&last).request(&question()).unwrap().first(1);
        assert!(timeout(seconds(1), survey.next()).await.is_err());
        let id = one.next().await.unwrap().id().value();
        one.send(OTHER.code(), id, "").await.unwrap();
        survey.next().await.unwrap();
        assert!(survey.next().await.is_none());
        assert_eq!(stand(&survey), [Replied, GivenUp]);
    });
}

#[test]
fn only_those_are_asked_whom_the_target_means() {
    paused(async {
        let world = World::new(Router::new());
        let (_clients, peers) = answering(&world, &[0, 0, 0, 0]).await;
        for peer in &peers[1..] {
            peer.add_tag("voter").unwrap();
        }
        let survey = world.hub.to(tag("voter")).except(&peers[2]).request(&question()).unwrap();
        let mut asked: Vec<_> = statuses(&survey.await);
        asked.sort_unstable();
        assert_eq!(asked, [(2, "reply"), (4, "reply")]);
        let nobody = world.hub.to(tag("nobody")).request(&question()).unwrap().await;
        assert!(nobody.responses.is_empty() && nobody.is_enough());
    });
}

#[test]
fn typed_replies_and_errors_are_told_apart() {
    paused(async {
        let world = World::new(Router::new());
        let divide = |veltix::Msg(Divide(a, b)): veltix::Msg<Divide>| {
            a.checked_div(b).map(Quotient).ok_or(Fault::ByZero)
        };
        let _one = world.client(Router::new().on(divide)).await;
        let other = |message: Message| Message::new(OTHER, message.into_body());
        let _two = world.client(Router::new().route(Divide::TYPE, other)).await;
        let garbage = || Message::from_text(Quotient::TYPE, "two");
        let _three = world.client(Router::new().route(Divide::TYPE, garbage)).await;
        let ask = async |b| {
            let mut responses =
                world.hub.to(all()).request(&Divide(84, b)).unwrap().await.responses;
            responses.sort_unstable_by_key(|(peer, _)| peer.id());
            let [one, two, three]: [_; 3] = responses.try_into().expect("three");
            use RequestError::{Body, UnexpectedReply};
            assert!(matches!(
                two.1,
                Response::Failed(UnexpectedReply { code: 201, expected: 302 })
            ));
            assert!(matches!(three.1, Response::Failed(Body(_))));
            one.1
        };
        assert!(matches!(ask(2).await, Response::Reply(Quotient(42))));
        assert!(matches!(ask(0).await, Response::Failed(RequestError::Remote(Fault::ByZero))));
    });
}

#[test]
fn a_handler_may_survey_its_own_peer_among_others() {
    paused(async {
        let (told, mut tells) = unbounded_channel();
        let survey = move |hub: Hub| {
            let told = told.clone();
            async move {
                let responses = hub.to(all()).request(&question())?.await;
                told.send(statuses(&responses)).map_err(|_| "nobody listens")?;
                Ok::<_, veltix::BoxError>(responses.replies().count().to_string())
            }
        };
        let world = World::new(Router::new().route(OTHER, survey));
        let (clients, _peers) = answering(&world, &[1, 2, 3]).await;
        for client in &clients {
            let answer = client.request(&Message::empty(OTHER)).timeout(seconds(60)).await.unwrap();
            assert_eq!(answer.text().unwrap(), "3");
            assert_eq!(tells.recv().await.unwrap(), [(1, "reply"), (2, "reply"), (3, "reply")]);
        }
    });
}

/// The handler that runs the survey is cancelled with its connection, and its calls with it.
#[test]
fn a_survey_in_a_handler_ends_with_it() {
    paused(async {
        let survey = async |hub: Hub| drop(hub.to(all()).request(&question()).expect("text").await);
        let world = World::new(Router::new().route(OTHER, survey));
        let [(mut asks, asker), (mut other, peer)] = silent(&world).await;
        asks.send(OTHER.code(), 1, "").await.unwrap();
        let id = other.next().await.unwrap().id().value();
        asker.close().await;
        other.send(ECHO.code(), id, "").await.unwrap();
        quiet().await;
        assert_eq!(peer.stats().received.discarded_late, 1);
    });
}

#[test]
fn a_survey_is_a_stream() {
    paused(async {
        use futures::StreamExt;
        let world = World::new(Router::new());
        let (_clients, _) = answering(&world, &[2, 1]).await;
        let survey = world.hub.to(all()).request(&question()).unwrap();
        let ids = StreamExt::map(survey, |(peer, _)| peer.id().value()).collect::<Vec<_>>().await;
        assert_eq!(ids, [2, 1]);
    });
}
