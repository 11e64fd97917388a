//! C9: peers of a killed node and of a hung one are asked.

use std::time::Duration;

use tokio::time::sleep;
use veltix_cluster_faults::{Call, Order, Surveyed, now};

use crate::stage::{Reader, Row, Setup, World, between, seconds, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c09_questions_to_a_killed_and_to_a_hung_node_end_once() {
    const DEADLINE: u64 = 3_000;
    let setup = Setup { clients: 0, ..Setup::default() };
    let Some(mut world) = World::start("c09", setup).await else { return };
    let mut readers = Vec::new();
    for (node, room) in [(1, "b"), (2, "c")] {
        for number in 0..5 {
            let (addr, user) = (&world.nodes[node].settings.addr, format!("{room}{number}"));
            readers.push(Reader::connect(addr, &user, &[room, "mute"]).await);
        }
    }
    // A knows the rooms before it asks.
    soon(async {
        while world.nodes[0].count(veltix_cluster_faults::Place::Room("b".to_owned())).await.peers < 5
            || world.nodes[0].count(veltix_cluster_faults::Place::Room("c".to_owned())).await.peers < 5
        {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let peer_of_b = world.nodes[1].peers().await.remove(0);
    let peer_of_c = world.nodes[2].peers().await.remove(0);
    let survey = |room: &str| Order::Survey { room: room.to_owned(), timeout: 30_000 };
    let before = world.nodes[0].order(&survey("b")).await;
    let request = Order::Request { peer: peer_of_b.clone(), timeout: 30_000 };
    let request_before = world.nodes[0].order(&request).await;
    for reader in &readers[..5] {
        reader.is_asked(1).await;
    }
    soon(async {
        // One of them is asked twice, and which one is not known here.
        while readers[..5].iter().map(Reader::asked).sum::<u64>() < 6 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
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
    let call = a.request(&peer_of_b, 5_000).await;
    let after = a.survey("b", 5_000).await;
    // Meanwhile C hangs.
    world.nodes[2].signal("-STOP");
    let (hung, hung_survey) = tokio::join!(a.request(&peer_of_c, DEADLINE), a.survey("c", DEADLINE));
    let surveyed: Surveyed = a.answer(before).await;
    let called: Call = a.answer(request_before).await;
    world.nodes[2].signal("-CONT");
    let mut row = Row::new("C9");
    row.is("asked after the kill: request", call.outcome.as_str(), "NodeGone");
    row.most("after", seconds(call.took) * 1e3, 50.0, " ms");
    let reasons: Vec<_> = after.missing.iter().map(|(_, reason)| reason.as_str()).collect();
    row.is("survey", reasons.join(" ").as_str(), "Gone");
    row.most("after", seconds(after.took) * 1e3, 50.0, " ms");
    row.note(format_args!("broker noticed after {:.1} ms", between(killed, noticed) * 1e3));
    let left = surveyed.responses.iter().filter(|(_, outcome, _)| outcome == "Left");
    let times: Vec<_> = left.map(|(_, _, at)| between(killed, *at)).collect();
    row.is("asked before: Left", times.len(), 5);
    row.is("of", surveyed.responses.len(), 5);
    row.most("last after", times.into_iter().fold(0.0, f64::max), 5.0, " s");
    row.is("request", called.outcome.as_str(), "NodeGone");
    row.is("hung node: request", hung.outcome.as_str(), "Timeout");
    let deadline = seconds(DEADLINE * 1_000);
    row.within("after", seconds(hung.took), (deadline, deadline + 0.25), " s");
    let reasons: Vec<_> = hung_survey.missing.iter().map(|(_, reason)| reason.as_str()).collect();
    row.is("survey", reasons.join(" ").as_str(), "TimedOut");
    row.within("after", seconds(hung_survey.took), (deadline, deadline + 0.25), " s");
    row.end();
}
