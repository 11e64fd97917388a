//! The actions of the nodes and of their clients.

use std::time::Duration;

use fastrand::Rng;
use veltix::{Client, ClientConfig, RequestError};
use veltix_cluster::{Cluster, NodeId, PeerRef};

use super::super::body::{ANSWER, ASK, Body, NEWS, PRICE, Wish};
use super::aim::{Aim, ROOMS};
use super::app::App;
use super::host::Host;
use super::ledger::{Line, Sent};
use super::watch;

/// The number of bytes in a large message.
const LARGE: usize = 5_000;

/// Connects a client of a host. It connects again after each end.
pub(super) async fn connect(app: App, host: Host, config: ClientConfig) -> Client {
    let (network, router) = (host.network(), app.client_router(host.number()));
    Client::connect_with(network, config, router).await.expect("it tries again without end")
}

/// Acts for the node of a host.
pub(super) async fn act(app: App, host: Host, deeds: usize, seldom_moves: bool, mut rng: Rng) {
    for _ in 0..deeds {
        app.record.pause(rng.u64(..600)).await;
        let Some((node, cluster, _)) = host.node() else { continue };
        for _ in 0..rng.usize(1..4) {
            act_once(&app, node, &cluster, seldom_moves, &mut rng);
        }
    }
}

/// Acts once.
fn act_once(app: &App, node: NodeId, cluster: &Cluster, seldom_moves: bool, rng: &mut Rng) {
    let known = app.ledger.open(None);
    let anybody = (!known.is_empty()).then(|| known[rng.usize(..known.len())]);
    let here = app.ledger.open(Some(node));
    let somebody = (!here.is_empty()).then(|| here[rng.usize(..here.len())]);
    match (rng.u8(..20), anybody, somebody) {
        (0..4, Some((_, peer)), _) => {
            send(app, node, cluster, Aim::Peer(peer), None, rng);
        }
        (4..6, Some((_, peer)), _) => {
            tokio::spawn(request(app.clone(), cluster.clone(), peer, rng.fork()));
        }
        (6, Some((_, peer)), _) => {
            tokio::spawn(survey(app.clone(), cluster.clone(), peer, rng.fork()));
        }
        (7..11, _, Some((line, _))) if !seldom_moves || rng.u8(..10) == 0 => {
            move_peer(app, line, rng)
        }
        (11, _, _) => drop(tokio::spawn(count(app.clone(), cluster.clone(), Aim::choose(rng)))),
        (12, _, _) => watch::start(app, node, cluster, Aim::choose(rng), rng.bool()),
        (13, _, _) if rng.u8(..3) == 0 => {
            tokio::spawn(mark(app.clone(), cluster.clone(), Aim::choose(rng), rng.i64(0..3)));
        }
        (13, _, _) if rng.bool() => app.watches.drop_one(&app.record, node),
        (_, anybody, _) => {
            let except = anybody.filter(|_| rng.u8(..3) == 0).map(|(_, peer)| peer);
            send(app, node, cluster, Aim::choose(rng), except, rng);
        }
    }
}

/// Sends a message, and returns the number of other nodes that it is for.
pub(super) fn send(
    app: &App,
    origin: NodeId,
    cluster: &Cluster,
    aim: Aim,
    except: Option<PeerRef>,
    rng: &mut Rng,
) -> usize {
    let key = (rng.u8(..6) == 0).then(|| rng.u16(..3));
    let filling = if rng.u8(..8) == 0 { rng.usize(..LARGE) } else { 0 };
    let wish = key.map_or(Wish::Nothing, Wish::Key);
    let body = app.body(wish, filling);
    let (number, at) = (body.number, app.record.now());
    let message = match key {
        Some(key) => body.message(PRICE).latest(u64::from(key)),
        None => body.message(NEWS),
    };
    let sent = if let Aim::Peer(peer) = aim {
        cluster.peer(peer).send(&message)
    } else {
        let to = cluster.to(aim.target());
        except
            .into_iter()
            .fold(to, |to, peer| to.except_ref(peer))
            .send(&message)
            .map(|it| it.nodes)
    };
    let nodes = match sent {
        Ok(nodes) => nodes,
        Err(error) => {
            app.record.note(format_args!("{number} is not sent: {error}"));
            return 0;
        }
    };
    app.record.note(format_args!("{origin} sends {number} to {aim:?} but {except:?}: {nodes:?}"));
    if nodes.matched != nodes.queued + nodes.dropped {
        app.record.wrong(format_args!("{number}: the sums differ: {nodes:?}"));
    }
    let (except, is_refused) = (except.into_iter().collect(), nodes.dropped > 0);
    let sent = Sent { origin, at, aim, except, key, is_refused };
    app.ledger.lock().sent.insert(number, sent);
    nodes.matched.into()
}

/// Lets a peer enter a room, or leave one.
pub(super) fn move_peer(app: &App, line: Line, rng: &mut Rng) {
    let (room, enters) = (rng.i64(0..ROOMS), rng.u8(..5) > 1);
    set_room(app, line, room, enters);
}

pub(super) fn set_room(app: &App, line: Line, room: i64, enters: bool) {
    let Some(peer) = app.ledger.seat(line, |seat| seat.peer.clone()) else { return };
    let changed = if enters { peer.join("room", room) } else { peer.leave("room", room) };
    app.record.note(format_args!("{line:?} enters {room}: {enters}, {changed:?}"));
    let now = app.record.now();
    app.ledger.seat(line, |seat| {
        let mut rooms = seat.rooms.last().map(|(_, rooms)| rooms.clone()).unwrap_or_default();
        if enters {
            rooms.insert(room)
        } else {
            rooms.remove(&room)
        };
        seat.rooms.push((now, rooms));
    });
}

fn question(app: &App, rng: &mut Rng) -> Body {
    let wish = if rng.bool() { Wish::Wait(rng.u16(..3_000)) } else { Wish::Nothing };
    app.body(wish, 0)
}

/// Calls a peer, and checks that the call completes in time and that the answer belongs to it.
async fn request(app: App, cluster: Cluster, peer: PeerRef, mut rng: Rng) {
    let body = question(&app, &mut rng);
    let (number, timeout) = (body.number, rng.u64(50..4_000));
    let until = app.record.now() + timeout;
    app.record.note(format_args!("{} asks {number} of {peer} for {timeout}", cluster.node()));
    let call = app.ledger.call();
    let request = cluster.peer(peer).request(&body.message(ASK));
    let outcome = request.timeout(Duration::from_millis(timeout)).await;
    drop(call);
    in_time(&app, number, until);
    match outcome {
        Ok(answer) => reads(&app, number, &answer),
        Err(error) => {
            app.record.note(format_args!("{number} fails: {error}"));
            if matches!(error, RequestError::NotSent { .. } | RequestError::Encode(_)) {
                app.record.wrong(format_args!("{number} fails: {error}"));
            }
        }
    }
}

fn in_time(app: &App, number: u64, until: u64) {
    app.record.note(format_args!("{number} completes"));
    if app.record.now() > until + 1 {
        app.record.wrong(format_args!("{number} did not complete in time"));
    }
}

fn reads(app: &App, number: u64, answer: &veltix::Message) {
    let answered = Body::read(answer.body()).map(|body| body.number);
    if answer.code() != ANSWER.code() || answered != Some(number) {
        app.record.wrong(format_args!("{number} is answered by {answered:?}"));
    }
}

/// Asks peers of all nodes, and checks that each responds once.
async fn survey(app: App, cluster: Cluster, except: PeerRef, mut rng: Rng) {
    let body = question(&app, &mut rng);
    let (number, timeout, aim) = (body.number, rng.u64(50..4_000), Aim::choose(&mut rng));
    let until = app.record.now() + timeout;
    app.record.note(format_args!("{} asks {number} of {aim:?} for {timeout}", cluster.node()));
    let call = app.ledger.call();
    let survey = cluster.to(aim.target()).except_ref(except).request(&body.message(ASK));
    let survey = match survey {
        Ok(survey) => survey.timeout(Duration::from_millis(timeout)),
        Err(error) => return app.record.note(format_args!("{number} is not asked: {error}")),
    };
    let outcome = match rng.u8(..3) {
        0 => survey.first(rng.usize(1..4)).await,
        1 => survey.quorum(rng.usize(1..4)).await,
        _ => survey.await,
    };
    drop(call);
    in_time(&app, number, until);
    let mut peers: Vec<_> = outcome.responses.iter().map(|(peer, _)| *peer).collect();
    peers.extend(&outcome.given_up);
    peers.sort_unstable();
    let all = peers.len();
    peers.dedup();
    if peers.len() < all || peers.contains(&except) {
        app.record
            .wrong(format_args!("{number}: a peer responds twice, or was excepted: {outcome:?}"));
    }
    let mut missing: Vec<_> = outcome.missing.iter().map(|(node, _)| *node).collect();
    missing.sort_unstable();
    let nodes = missing.len();
    missing.dedup();
    if missing.len() < nodes || peers.iter().any(|peer| missing.contains(&peer.node)) {
        app.record.wrong(format_args!("{number}: a node is missing that is not: {outcome:?}"));
    }
    outcome.replies().for_each(|(_, answer)| reads(&app, number, answer));
}

/// Tags peers of all nodes.
async fn mark(app: App, cluster: Cluster, aim: Aim, mark: i64) {
    let until = app.record.now() + 2_000;
    let call = app.ledger.call();
    let marked = cluster.join(aim.target(), "mark", mark).await.expect("it is within the limits");
    drop(call);
    app.record.note(format_args!("{} marks {aim:?}: {marked:?}", cluster.node()));
    if app.record.now() > until + 1 {
        app.record.wrong(format_args!("a change did not complete in time: {marked:?}"));
    }
}

/// Counts peers of all nodes.
async fn count(app: App, cluster: Cluster, aim: Aim) {
    let until = app.record.now() + 2_000;
    let call = app.ledger.call();
    let counted = cluster.count(aim.target()).await.expect("it is within the limits");
    drop(call);
    app.record.note(format_args!("{} counts {aim:?}: {counted:?}", cluster.node()));
    if app.record.now() > until + 1 {
        app.record.wrong(format_args!("a count did not complete in time: {counted:?}"));
    }
}
