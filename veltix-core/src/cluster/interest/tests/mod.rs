//! The interest of a node from its store to the other nodes.

mod agreement;
mod evaluation;
mod formats;
mod steps;

use std::time::{Duration, Instant};

use super::*;
use crate::cluster::{NodeId, Record, RecordKind};
use crate::tags::TagHash;

const MILLI: Duration = Duration::from_millis(1);

fn node(value: u64) -> NodeId {
    NodeId::new(value).expect("it is not zero")
}

fn hash(number: u64) -> TagHash {
    TagHash::new(number)
}

fn hashes(numbers: impl IntoIterator<Item = u64>) -> Vec<TagHash> {
    numbers.into_iter().map(hash).collect()
}

/// Delivers a record to a node.
fn deliver(record: &Record, receiver: &mut InterestIn, now: Instant) {
    let body = record.body.clone();
    match record.kind {
        RecordKind::Interest => receiver.delta(&InterestDelta::decode(body).unwrap(), now),
        RecordKind::Sync => receiver.sync(&InterestSnapshot::decode(body).unwrap()),
        kind => panic!("no record of interest: {kind:?}"),
    }
}
