//! Faults of the broker and of the nodes.

use fastrand::Rng;

use super::super::network::Line;
use super::super::record::Record;
use super::broker::{Broker, Conditions};
use super::host::Host;

/// Causes the faults of a run.
pub(super) async fn befall(
    record: Record,
    broker: Broker,
    hosts: Vec<Host>,
    faults: usize,
    ordinary: Conditions,
    mut rng: Rng,
) {
    let mut under_way = Vec::new();
    for _ in 0..faults {
        record.pause(rng.u64(..5_000)).await;
        let (record, broker) = (record.clone(), broker.clone());
        let one = hosts[rng.usize(..hosts.len())].clone();
        let other = hosts[rng.usize(..hosts.len())].clone();
        let all = hosts.clone();
        let nodes = [&one, &other].map(|host| host.node().map(|(node, ..)| node));
        let long = [300, 3_000, 14_000][rng.usize(..3)];
        let (kind, time, line) = (rng.u8(..18), rng.u64(1..long), rng.usize(..));
        let conditions = match rng.u8(..3) {
            0 => Conditions { loss: 300, ..ordinary },
            1 => Conditions { repetition: 600, ..ordinary },
            _ => Conditions { false_answers: 500, ..ordinary },
        };
        under_way.push(tokio::spawn(async move {
            match (kind, nodes) {
                (0..3, [Some(one), Some(other)]) if one != other => {
                    broker.cut(one, other, true);
                    record.pause(time).await;
                    broker.cut(one, other, false);
                }
                (0..6, [Some(node), _]) => {
                    broker.connect(node, false);
                    record.pause(time).await;
                    broker.connect(node, true);
                }
                (6, _) => {
                    let nodes: Vec<_> =
                        all.iter().filter_map(|host| Some(host.node()?.0)).collect();
                    nodes.iter().for_each(|node| broker.connect(*node, false));
                    record.pause(time).await;
                    nodes.iter().for_each(|node| broker.connect(*node, true));
                }
                (7..9, _) => broker.hang(None, time.min(9_000)),
                (9, [node, _]) => broker.hang(node, time.min(9_000)),
                (10..12, _) => {
                    broker.set(conditions);
                    record.pause(time).await;
                    broker.set(ordinary);
                }
                (12..14, _) => {
                    one.abort().await;
                    record.pause(time / 4).await;
                    if one.node().is_none() {
                        one.start();
                    }
                }
                (14..16, _) => {
                    let lines = one.network().lines();
                    let line = lines.values().nth(line % lines.len().max(1));
                    line.into_iter().for_each(Line::reset);
                }
                _ => {
                    one.drain().await;
                    record.pause(time / 4).await;
                    if one.node().is_none() {
                        one.start();
                    }
                }
            }
        }));
    }
    for fault in under_way {
        fault.await.expect("it does not panic");
    }
}
