//! C15: nodes of other releases.

mod fake;

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use veltix_cluster_faults::{Load, News, Place, percentile};

use self::fake::{Fake, Release};
use crate::stage::{Reader, Row, Setup, World, seconds, soon};

/// The capability to answer counts and lists.
const READS: u64 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c15_nodes_of_other_releases_are_members_as_far_as_they_can_be() {
    let setup = Setup { nodes: 2, ..Setup::default() };
    let Some(world) = World::start("c15", setup).await else { return };
    let url = world.broker.url();
    let release = |name, wire, capabilities, peers| Release { name, wire, capabilities, peers };
    // The newer one reads this version too. The older one has no abilities. The last one has left this version.
    let newer = Fake::start(&url, release("newer", 1..=2, READS, 3)).await;
    let older = Fake::start(&url, release("older", 1..=1, 0, 0)).await;
    let foreign = Fake::start(&url, release("foreign", 2..=3, u64::MAX, 7)).await;
    join_all(world.nodes.iter().map(|node| node.sees(3))).await;
    let mut row = Row::new("C15");
    let sent = world.nodes[0].load(Load {
        rate: 1_000,
        count: 500,
        room: Some("lobby".to_owned()),
        length: 64,
    });
    let sent = sent.await.sent.offered;
    newer.say(50).await;
    older.say(51).await;
    for (name, fake) in [("newer", &newer), ("older", &older)] {
        // Each hears the message of the other one too.
        let expected = sent + 1;
        soon(async {
            while fake.heard().messages.values().sum::<u64>() < expected {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let messages = fake.heard().messages;
        let in_version_1 = messages.get(&1).copied().unwrap_or_default();
        row.is(&format!("messages to the {name} one, in version 1"), in_version_1, expected);
        row.is(&format!("versions to the {name} one"), messages.len(), 1);
    }
    for reader in &world.readers[1] {
        soon(async {
            while reader.of(50).is_empty() || reader.of(51).is_empty() {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    world.quiet(Duration::from_millis(300)).await;
    let heard = |reader: &Reader| reader.of(50).len() + reader.of(51).len();
    row.is("messages of both at the clients", world.all().map(heard).sum(), 20_usize);
    // A busy machine delays single calls.
    let mut counts = Vec::new();
    for _ in 0..5 {
        counts.push(world.nodes[0].count(Place::Everywhere).await);
    }
    let median = percentile(counts.iter().map(|count| count.took), 0.5);
    let counted = counts.remove(0);
    row.is("peers counted", counted.peers, 10 + 3);
    let missing: Vec<_> =
        counted.missing.iter().map(|(node, why)| format!("{node} {why}")).collect();
    let is_older = missing == [format!("{} Unsupported", older.id)];
    row.is("the older one alone is unsupported", is_older, true);
    row.most("median time of a count", seconds(median) * 1e3, 50.0, " ms");
    // Neither of them passes requests on to its peers.
    let mut surveys = Vec::new();
    for _ in 0..5 {
        surveys.push(world.nodes[0].survey("lobby", 5_000).await);
    }
    let median = percentile(surveys.iter().map(|survey| survey.took), 0.5);
    let surveyed = surveys.remove(0);
    let replies = surveyed.responses.iter().filter(|(_, outcome, _)| outcome == "Reply").count();
    row.is("replies to a survey", replies, 6);
    let unsupported = surveyed.missing.iter().filter(|(_, why)| why == "Unsupported").count();
    row.is("nodes unsupported by the survey", unsupported, 2);
    row.most("median time of a survey", seconds(median) * 1e3, 50.0, " ms");
    row.is("questions to the older one", older.heard().asks, 0);
    let (id, before) = (foreign.id.to_string(), world.nodes[0].state().await.unreadable);
    let is_it = |news: &News| matches!(news, News::Incompatible { node } if *node == id);
    let told = world.nodes[0].news(0, is_it).await > 0;
    foreign.say_nothing(2).await;
    soon(async {
        while world.nodes[0].state().await.unreadable == before {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let is_member = world.nodes[0].state().await.others.iter().any(|(node, _)| *node == id);
    row.is("the foreign one is a member", is_member, false);
    row.is("it is told as incompatible", told, true);
    row.end();
}
