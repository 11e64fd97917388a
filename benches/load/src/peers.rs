//! The peers: how each server is started, which wire it speaks, and what it takes part in.

use crate::wire::{Veltix, Wire};
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
}

/// Every workload in which the generator speaks to the server.
const ALL: &[WorkloadKind] = &[
    RoundTrip { one_cpu: true },
    RoundTrip { one_cpu: false },
    Ingest,
    Echo,
    Fanout { in_flight: 1 },
    Fanout { in_flight: 64 },
    Tag,
    Large,
    Idle,
    Connects,
    Latency,
    Stalled,
];

/// What the shape of a handler makes a difference to: fan-out is the hub's.
const HANDLERS: &[WorkloadKind] =
    &[RoundTrip { one_cpu: true }, RoundTrip { one_cpu: false }, Ingest, Echo];

const fn veltix(name: &'static str, can: &'static [WorkloadKind]) -> PeerSpec {
    PeerSpec { name, start: Start::OwnServe, wire: || Box::new(Veltix::plain()), can }
}

/// All servers; the first is what the others are compared with.
pub(crate) const PEERS: &[PeerSpec] = &[
    veltix("limit", ALL),
    veltix("veltix", ALL),
    veltix("veltix-async", HANDLERS),
    PeerSpec { wire: || Box::new(Veltix::json()), ..veltix("veltix-typed", HANDLERS) },
    veltix("veltix-layered", HANDLERS),
    veltix("veltix-threading", ALL),
];

/// All clients that are measured together with a server.
pub(crate) const OWN: &[OwnSpec] = &[
    OwnSpec { name: "veltix", server: "veltix", client: OwnClient::Own("veltix") },
    OwnSpec { name: "veltix+limit", server: "limit", client: OwnClient::Own("veltix") },
];

impl PeerSpec {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        PEERS.iter().find(|peer| peer.name == name)
    }

    pub(crate) fn can(&self, kind: WorkloadKind) -> bool {
        self.can.contains(&kind)
    }
}
