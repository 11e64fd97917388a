//! The peers: how each server is started, its wire, and its workloads.

use crate::program::Program;
use crate::wire::{Delimited, MessageIo, Nats, Redis, Tarpc, Veltix, WebSocket, Wire};
use crate::workload::WorkloadKind::{self, *};

/// A server under test.
#[derive(Clone, Copy)]
pub(crate) struct PeerSpec {
    /// The name in results and on the command line.
    pub(crate) name: &'static str,
    pub(crate) start: Start,
    /// The protocol of the server.
    pub(crate) wire: fn() -> Box<dyn Wire>,
    /// The kinds of workload that it takes part in. In others it is not reported as missing.
    pub(crate) can: &'static [WorkloadKind],
}

/// How a server is started. All servers listen on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// This program, as `serve NAME`. It prints its address.
    OwnServe,
    /// The server on the Python package. It prints its address.
    Python,
    /// A program of the system, if it is installed.
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

/// How a client of its own is started. It prints one line of JSON, a [`Rate`](crate::client::Rate).
#[derive(Clone, Copy, Debug)]
pub(crate) enum OwnClient {
    /// This program, as `client NAME`.
    Own(&'static str),
    /// The client of the Python package.
    Python,
}

/// Every workload in which the generator is the client.
const ALL: &[WorkloadKind] = WorkloadKind::SERVERS;

/// The workloads in which the form of the handlers matters. Broadcasts are the work of the hub.
const HANDLERS: &[WorkloadKind] =
    &[RoundTrip { one_cpu: true }, RoundTrip { one_cpu: false }, Ingest, Echo, Fair];

/// The workloads that are measured over TLS.
const TLS: &[WorkloadKind] = &[Ingest, Echo, Fanout { in_flight: 1 }, Large, Idle, Connects];

/// The workloads of a service of calls and answers. It has no messages without an answer and no
/// receivers other than the caller.
const CALLS: &[WorkloadKind] = &[RoundTrip { one_cpu: true }, RoundTrip { one_cpu: false }, Echo];

/// The workloads of `nats-server`. Its ping, which serves as the echo, only shows that the server
/// has processed the messages before it.
const NATS: &[WorkloadKind] =
    &[Ingest, Fanout { in_flight: 1 }, Fanout { in_flight: 64 }, Tag, Idle, Connects, Stalled];

/// The workloads of `redis-server`. It answers every message.
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

/// All servers. The first one is the reference of the others.
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
