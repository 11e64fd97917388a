//! R32: the table of peers under many schedules. Threads enter and leave, tag, look peers up and
//! watch. The table itself is a `DashMap`, and shuttle does not see its locks. No guard of it lives
//! longer than an expression, so that any other thread may run between two expressions.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p veltix-tokio --lib shuttle`

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use ::shuttle::thread::{self, JoinHandle};
use veltix_core::{Hello, IdSpace, TagStore, WatchId, WatchStep, tag};

use super::*;
use crate::config::ConnectionConfig;
use crate::config::Role;
use crate::drain::Spreads;
use crate::hub::{Endpoint, Side};
use crate::memory::Memory;
use crate::session::Session;
use crate::transport::{Link, PeerAddr, StreamWriter};

/// Schedules for each scheduler.
const SCHEDULES: usize = 10_000;

/// Peers that connect and disconnect at the same time.
const CONNECTIONS: usize = 2;

fn lobby() -> Target {
    tag("room").is("lobby")
}

/// A writer that discards all bytes.
struct Nowhere;

impl StreamWriter for Nowhere {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn poll_write_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn server() -> Arc<Endpoint> {
    let side = Side {
        role: Role::Server,
        local_addr: PeerAddr::Memory(0),
        max_connections: 10,
        max_connections_per_address: None,
        max_pending_handshakes: 1,
        max_pending_handshakes_per_address: 1,
        max_workers: 1,
        memory: Memory::unlimited(),
        spreads: Spreads::default(),
    };
    let limits = ConnectionConfig::new(None).limits(None).expect("the defaults work");
    Endpoint::new(side, limits)
}

fn peer(endpoint: &Arc<Endpoint>) -> Peer {
    Peer::new(Session::new(
        endpoint.peers().next_id(),
        Link::new(PeerAddr::Memory(0)),
        Arc::new(Hello::default()),
        endpoint.services(),
        Box::new(Nowhere),
        IdSpace::server(),
    ))
}

fn is_listed(peers: &Peers, peer: &Peer) -> bool {
    let listed = peers.all().iter().any(|other| other.id() == peer.id());
    assert_eq!(listed, peers.get(peer.id()).is_some());
    listed
}

/// Runs one connection from its start to its end. The thread sees its own changes at once.
fn live(endpoint: &Arc<Endpoint>) {
    let (peers, peer) = (endpoint.peers(), peer(endpoint));
    let is_inside = || {
        peers.matching(&lobby()).expect("it is valid").iter().any(|other| other.id() == peer.id())
    };
    peers.enter(&peer);
    peer.set_tag(("room", "lobby")).expect("there is room");
    assert!(!is_listed(peers, &peer) && !is_inside());
    peers.admit(&peer);
    assert!(is_listed(peers, &peer) && is_inside());
    peers.leave(&peer);
    assert!(!is_listed(peers, &peer) && !is_inside());
    peers.forget(&peer);
}

/// Runs the operations of a hub.
fn look(endpoint: &Endpoint) {
    let (peers, tags) = (endpoint.peers(), endpoint.services().tags());
    let found = peers.matching(&lobby()).expect("it is valid");
    assert!(found.len() <= CONNECTIONS && peers.len() <= CONNECTIONS);
    let tagged =
        tags.change(|tags| tags.set_all(&lobby(), ("greeted", "yes"))).expect("there is room");
    assert!(tagged <= CONNECTIONS);
    let (watch, _) = tags.watch(|store| store.watch(&lobby(), [""; 0])).expect("it is valid");
    tags.unwatch(watch);
}

/// Applies the changes of a watch to a list. No change may contradict the list.
fn follow(tags: &TagTable, watch: WatchId, inside: &mut BTreeSet<PeerId>) {
    loop {
        match tags.read_watch(|store| store.next_change(watch)) {
            WatchStep::Reset(now) => *inside = now.into_iter().map(|member| member.peer).collect(),
            WatchStep::Entered(member) => assert!(inside.insert(member.peer), "it was inside"),
            WatchStep::Left(member) => assert!(inside.remove(&member.peer), "it was outside"),
            WatchStep::Idle | WatchStep::Ended => return,
        }
    }
}

fn everything_at_once() {
    let endpoint = server();
    let (peers, tags) = (endpoint.peers(), endpoint.services().tags());
    let (watch, _) = tags.watch(|store| store.watch(&lobby(), [""; 0])).expect("it is valid");
    let mut threads: Vec<_> = (0..CONNECTIONS).map(|_| spawn(&endpoint, live)).collect();
    threads.push(spawn(&endpoint, |endpoint| look(endpoint)));
    let mut inside = BTreeSet::new();
    follow(tags, watch, &mut inside);
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    follow(tags, watch, &mut inside);
    assert!(inside.is_empty(), "the watch reported all peers that left");
    tags.unwatch(watch);
    assert!(peers.all().is_empty() && peers.entered().is_empty() && peers.len() == 0);
    assert_eq!(tags.read(TagStore::index_len), 0, "nothing is kept of peers that have left");
}

fn spawn(endpoint: &Arc<Endpoint>, run: fn(&Arc<Endpoint>)) -> JoinHandle<()> {
    let endpoint = Arc::clone(endpoint);
    thread::spawn(move || run(&endpoint))
}

#[test]
fn r32_peers_come_and_go_while_others_tag_look_and_watch() {
    ::shuttle::check_random(everything_at_once, SCHEDULES);
    ::shuttle::check_pct(everything_at_once, SCHEDULES / 4, 3);
}
