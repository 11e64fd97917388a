//! C9: peers of a killed node and of a hung one are asked.

use std::time::Duration;

use tokio::time::sleep;
use veltix_cluster_faults::{Call, Order, Place, Surveyed, now, percentile};

use crate::stage::{Reader, Row, Setup, World, between, seconds, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c09_questions_to_a_killed_and_to_a_hung_node_end_once() {
    const DEADLINE: u64 = 3_000;
    const CALLS: usize = 5;
    let setup = Setup { clients: 0, ..Setup::default() };
    let Some(mut world) = World::start("c09", setup).await else { return };
    // The peer of the request is not in the room of the survey, since a handler has one question at a time.
    let addr = world.nodes[1].settings.addr.clone();
    let asked = Reader::connect(&addr, "asked", &["alone", "mute"]).await;
    let peer_of_b = world.nodes[1].peers().await.remove(0);
    let mut readers = Vec::new();
    for (node, room) in [(1, "b"), (2, "c")] {
        for number in 0..5 {
            let (addr, user) = (&world.nodes[node].settings.addr, format!("{room}{number}"));
            readers.push(Reader::connect(addr, &user, &[room, "mute"]).await);
        }
    }
    // A knows the rooms before it asks.
    soon(async {
        let count = async |room: &str| world.nodes[0].count(Place::Room(room.to_owned())).await;
        while count("b").await.peers < 5 || count("c").await.peers < 5 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let peer_of_c = world.nodes[2].peers().await.remove(0);
    let survey = |room: &str| Order::Survey { room: room.to_owned(), timeout: 30_000 };
    let before = world.nodes[0].order(&survey("b")).await;
    let request = Order::Request { peer: peer_of_b.clone(), timeout: 30_000 };
    let request_before = world.nodes[0].order(&request).await;
    for reader in readers[..5].iter().chain([&asked]) {
        reader.is_asked(1).await;
    }
    let killed = now();
    world.nodes[1].kill().await;
    // The broker has noticed it: a question that it passes to a dead socket has no answer at once.
    soon(async {
        while world.broker.connections().await.len() > 2 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let noticed = now();
    let a = &world.nodes[0];
    // A busy machine delays single calls.
    let (mut calls, mut surveys) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        calls.push(a.request(&peer_of_b, 5_000).await);
        surveys.push(a.survey("b", 5_000).await);
    }
    // Meanwhile C hangs.
    world.nodes[2].signal("-STOP");
    let (hung, hung_survey) =
        tokio::join!(a.request(&peer_of_c, DEADLINE), a.survey("c", DEADLINE));
    let surveyed: Surveyed = a.answer(before).await;
    let called: Call = a.answer(request_before).await;
    world.nodes[2].signal("-CONT");
    let mut row = Row::new("C9");
    let gone = calls.iter().filter(|call| call.outcome == "NodeGone").count();
    row.is("requests after the kill with NodeGone", gone, CALLS);
    let median = percentile(calls.iter().map(|call| call.took), 0.5);
    row.most("median time of a request", seconds(median) * 1e3, 50.0, " ms");
    let is_gone = |survey: &&Surveyed| survey.missing.iter().map(|(_, why)| why).eq(["Gone"]);
    row.is("surveys after the kill with Gone", surveys.iter().filter(is_gone).count(), CALLS);
    let median = percentile(surveys.iter().map(|survey| survey.took), 0.5);
    row.most("median time of a survey", seconds(median) * 1e3, 50.0, " ms");
    row.note(
        "kill noticed by the broker after",
        format_args!("{:.1} ms", between(killed, noticed) * 1e3),
    );
    let left = surveyed.responses.iter().filter(|(_, outcome, _)| outcome == "Left");
    let times: Vec<_> = left.map(|(_, _, at)| between(killed, *at)).collect();
    row.is("Left of a survey before the kill", times.len(), 5);
    row.is("responses of that survey", surveyed.responses.len(), 5);
    row.most("the last Left after", times.into_iter().fold(0.0, f64::max), 5.0, " s");
    row.is("request before the kill", called.outcome.as_str(), "NodeGone");
    row.is("request to a hung node", hung.outcome.as_str(), "Timeout");
    let deadline = seconds(DEADLINE * 1_000);
    row.within("its end after", seconds(hung.took), (deadline, deadline + 0.5), " s");
    let of_c = hung_survey.missing.iter().filter(|(node, _)| *node == world.nodes[2].id);
    let reasons: Vec<_> = of_c.map(|(_, reason)| reason.as_str()).collect();
    row.is("survey of a hung node", reasons.join(" ").as_str(), "TimedOut");
    row.within(
        "the end of that survey after",
        seconds(hung_survey.took),
        (deadline, deadline + 0.5),
        " s",
    );
    row.end();
}
