//! The checks after the end of all faults: every node knows the others, and reaches every client.

use std::collections::BTreeSet;

use fastrand::Rng;
use veltix::{Hub, TagValue, all};
use veltix_cluster::{Cluster, Member, NodeId};

use super::super::body::{ASK, Wish};
use super::aim::{Aim, ROOMS};
use super::app::App;
use super::broker::Broker;
use super::host::Host;
use super::plan::Plan;
use super::{sums, traffic, watch};

/// The milliseconds after which every node knows the others, and has forgotten the ended ones: the lease of a
/// node that late batches have made a member again.
const CALM: u64 = 16_000;
/// The milliseconds in which everything that is sent has arrived.
const ARRIVED: u64 = 3_000;

type Node = (NodeId, Cluster, Hub);

/// Checks the state without faults.
pub(super) async fn check(app: &App, broker: &Broker, hosts: &[Host], plan: &Plan, mut rng: Rng) {
    let (record, clients) = (&app.record, plan.clients);
    record.note(format_args!("it is quiet from now on"));
    record.pause(CALM).await;
    let nodes: Vec<Node> = hosts.iter().filter_map(Host::node).collect();
    if nodes.len() < hosts.len() || app.ledger.open(None).len() != clients {
        let open = app.ledger.open(None).len();
        return record.wrong(format_args!("{} nodes and {open} clients are there", nodes.len()));
    }
    members(app, &nodes);
    // The rooms are those that the faults have left, and every node must know them.
    for (node, cluster, _) in &nodes {
        for room in (0..ROOMS).map(Aim::Room) {
            traffic::send(app, *node, cluster, room, None, &mut rng);
        }
    }
    counts(app, &nodes, clients).await;
    changes(app, &nodes, clients).await;
    // Each peer is in one room, and every node knows it before the next message.
    for (at, (line, _)) in app.ledger.open(None).into_iter().enumerate() {
        (0..ROOMS).for_each(|room| traffic::set_room(app, line, room, room == at as i64 % ROOMS));
    }
    for (node, cluster, _) in &nodes {
        watch::start(app, *node, cluster, Aim::choose(&mut rng), rng.bool());
    }
    record.pause(ARRIVED).await;
    watch::check(app);
    for (node, cluster, _) in &nodes {
        for aim in (0..ROOMS).map(Aim::Room).chain([Aim::All, Aim::Outside(0)]) {
            let matched = traffic::send(app, *node, cluster, aim, None, &mut rng);
            if let Aim::Room(room) = aim
                && matched != holders(app, *node, room).len()
            {
                let holders = holders(app, *node, room);
                record.wrong(format_args!("{node} sends {aim:?} to {matched}, not to {holders:?}"));
            }
        }
        for (_, peer) in app.ledger.open(None) {
            traffic::send(app, *node, cluster, Aim::Peer(peer), None, &mut rng);
        }
    }
    if !plan.is_roomy() {
        record.pause(ARRIVED).await;
    }
    for (_, cluster, _) in &nodes {
        calls(app, cluster, clients).await;
    }
    record.pause(ARRIVED).await;
    while !broker.is_quiet() || nodes.iter().any(|(_, it, _)| sums::queued(it) > 0) {
        record.pause(7).await;
    }
    for (_, node, _) in &nodes {
        sums::of_node(record, broker, node);
        for (_, origin, _) in nodes.iter().filter(|(id, ..)| *id != node.node()) {
            sums::between(record, broker, (origin, node), plan.is_roomy());
        }
    }
}

/// Returns the other nodes that have a peer in the room.
fn holders(app: &App, me: NodeId, room: i64) -> BTreeSet<NodeId> {
    let state = app.ledger.lock();
    let open = state.seats.values().filter(|seat| seat.left.is_none());
    let named = open.filter_map(|seat| Some((seat.name?.node, &seat.rooms.last()?.1)));
    let meant = named.filter(|(node, rooms)| *node != me && rooms.contains(&room));
    meant.map(|(node, _)| node).collect()
}

/// Checks that each node knows the others, and no ended one.
fn members(app: &App, nodes: &[Node]) {
    let live: BTreeSet<_> = nodes.iter().map(|(node, ..)| *node).collect();
    for (me, cluster, _) in nodes {
        let mut known: BTreeSet<_> = cluster.others().iter().map(|it| it.id).collect();
        known.insert(*me);
        if known != live {
            app.record.wrong(format_args!("{me} knows {known:?}, and {live:?} live"));
        }
    }
}

async fn counts(app: &App, nodes: &[Node], clients: usize) {
    for (me, cluster, _) in nodes {
        let counted = cluster.count(all()).await.expect("it is within the limits");
        if !counted.is_complete() || counted.value != clients {
            app.record.wrong(format_args!("{me} counts {counted:?} instead of {clients}"));
        }
    }
}

/// Checks that a change of all peers is made, and that every node then tells it.
async fn changes(app: &App, nodes: &[Node], clients: usize) {
    for (me, cluster, _) in nodes {
        let changed = cluster.join(all(), "changed", me.to_string()).await.expect("it is allowed");
        if !changed.is_complete() || changed.value != clients {
            app.record.wrong(format_args!("{me} changes {changed:?} instead of {clients}"));
        }
    }
    let names: BTreeSet<_> = nodes.iter().map(|(node, ..)| node.to_string()).collect();
    for (me, cluster, _) in nodes {
        let listed = cluster.list(all()).with_tags(["changed"]).await.expect("it is valid");
        let has_all = |member: &Member| {
            let values = member.values("changed").filter_map(TagValue::as_str);
            values.map(str::to_owned).collect::<BTreeSet<_>>() == names
        };
        let complete = listed.is_complete() && listed.value.len() == clients;
        if !complete || !listed.value.iter().all(has_all) {
            app.record.wrong(format_args!("{me} lists {listed:?} behind the changes"));
        }
    }
}

/// Checks that each peer answers.
async fn calls(app: &App, cluster: &Cluster, clients: usize) {
    let me = cluster.node();
    let body = app.body(Wish::Nothing, 0);
    let survey = cluster.to(all()).request(&body.message(ASK)).expect("it is within the limits");
    let outcome = survey.await;
    if !outcome.is_complete() || outcome.replies().count() != clients {
        app.record.wrong(format_args!("{me}: not every peer answers: {outcome:?}"));
    }
    for (_, peer) in app.ledger.open(None) {
        let body = app.body(Wish::Nothing, 0);
        if let Err(error) = cluster.peer(peer).request(&body.message(ASK)).await {
            app.record.wrong(format_args!("{me}: {peer} does not answer: {error}"));
        }
    }
}
