//! The peers: how each server is started, which wire it speaks, and what it takes part in.

use crate::program::Program;
use crate::wire::{Delimited, MessageIo, Nats, Redis, Tarpc, Veltix, WebSocket, Wire};
use crate::workload::WorkloadKind::{self, *};

/// A server under test.
#[derive(Clone, Copy)]
pub(crate) struct PeerSpec {
    /// What it is called in results and on the command line.
    pub(crate) name: &'static str,
    pub(crate) start: Start,
    /// What it speaks.
    pub(crate) wire: fn() -> Box<dyn Wire>,
    /// The kinds of workload that it takes part in; another one is not missing there.
    pub(crate) can: &'static [WorkloadKind],
}

/// How a server is started. All of them listen on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// This program, as `serve NAME`; it prints its address.
    OwnServe,
    /// The server on the Python package; it prints its address.
    Python,
    /// A program that is installed or not.
    Program(Program),
}

/// A client of its own together with a server, for the workloads of clients.
#[derive(Clone, Copy)]
pub(crate) struct OwnSpec {
    pub(crate) name: &'static str,
    /// The name of the server's [`PeerSpec`].
    pub(crate) server: &'static str,
    pub(crate) client: OwnClient,
}

/// How a client of its own is started. It prints one line of JSON, a
/// [`Rate`](crate::client::Rate).
#[derive(Clone, Copy, Debug)]
pub(crate) enum OwnClient {
    /// This program, as `client NAME`.
    Own(&'static str),
    /// The client of the Python package.
    Python,
}

/// Every workload in which the generator speaks to the server.
const ALL: &[WorkloadKind] = WorkloadKind::SERVERS;

/// What the shape of a handler makes a difference to: fan-out is the hub's.
const HANDLERS: &[WorkloadKind] =
    &[RoundTrip { one_cpu: true }, RoundTrip { one_cpu: false }, Ingest, Echo, Fair];

/// What is measured over TLS.
const TLS: &[WorkloadKind] = &[Ingest, Echo, Fanout { in_flight: 1 }, Large, Idle, Connects];

/// What a service of calls and answers takes part in: it has no messages without an answer, and
/// nobody else to send to.
const CALLS: &[WorkloadKind] = &[RoundTrip { one_cpu: true }, RoundTrip { one_cpu: false }, Echo];

/// What `nats-server` takes part in: a ping, which stands for the echo, shows only that it is there
/// and has taken what came before.
const NATS: &[WorkloadKind] =
    &[Ingest, Fanout { in_flight: 1 }, Fanout { in_flight: 64 }, Tag, Idle, Connects, Stalled];

/// What `redis-server` takes part in: it answers every message.
const REDIS: &[WorkloadKind] =
    &[Fanout { in_flight: 1 }, Fanout { in_flight: 64 }, Tag, Idle, Connects, Latency, Stalled];

const fn own(
    name: &'static str,
    wire: fn() -> Box<dyn Wire>,
    can: &'static [WorkloadKind],
) -> PeerSpec {
    PeerSpec { name, start: Start::OwnServe, wire, can }
}

const fn veltix(name: &'static str, can: &'static [WorkloadKind]) -> PeerSpec {
    PeerSpec { name, start: Start::OwnServe, wire: || Box::new(Veltix::plain()), can }
}

/// All servers; the first is what the others are compared with.
pub(crate) const PEERS: &[PeerSpec] = &[
    veltix("limit", ALL),
    veltix("veltix", ALL),
    veltix("veltix-async", HANDLERS),
    PeerSpec { wire: || Box::new(Veltix::json()), ..veltix("veltix-typed", HANDLERS) },
    PeerSpec { wire: || Box::new(Veltix::json()), ..veltix("veltix-by-hand", HANDLERS) },
    veltix("veltix-layered", HANDLERS),
    veltix("veltix-threading", ALL),
    PeerSpec { wire: || Box::new(Veltix::tls()), ..veltix("limit-tls", TLS) },
    PeerSpec { wire: || Box::new(Veltix::tls()), ..veltix("veltix-tls", TLS) },
    own("delimited", || Box::new(Delimited), ALL),
    own("delimited-batch", || Box::new(Delimited), ALL),
    own("tarpc", || Box::new(Tarpc), CALLS),
    own("tungstenite", || Box::new(WebSocket), ALL),
    own("message-io", || Box::new(MessageIo), ALL),
    PeerSpec { start: Start::Python, ..veltix("python", ALL) },
    PeerSpec { start: Start::Program(Program::NatsServer), ..own("nats", || Box::new(Nats), NATS) },
    PeerSpec {
        start: Start::Program(Program::RedisServer),
        ..own("redis", || Box::new(Redis), REDIS)
    },
];

/// All clients that are measured together with a server.
pub(crate) const OWN: &[OwnSpec] = &[
    OwnSpec { name: "veltix", server: "veltix", client: OwnClient::Own("veltix") },
    OwnSpec { name: "veltix+limit", server: "limit", client: OwnClient::Own("veltix") },
    OwnSpec { name: "tarpc", server: "tarpc", client: OwnClient::Own("tarpc") },
    OwnSpec { name: "python", server: "python", client: OwnClient::Python },
];

impl PeerSpec {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        PEERS.iter().find(|peer| peer.name == name)
    }

    pub(crate) fn can(&self, kind: WorkloadKind) -> bool {
        self.can.contains(&kind)
    }
}
