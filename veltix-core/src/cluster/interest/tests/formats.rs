//! The formats of the records: round trips, any bytes, and limits.

use std::time::Instant;

use allocation_counter::measure;
use bytes::{BufMut as _, Bytes, BytesMut};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::limits::CLUSTER_INTEREST;
use crate::tags::TagHash;
use crate::wire::WireError;

proptest! {
    #[test]
    fn records_arrive_as_they_were_sent(
        versions in any::<(u64, u64)>(),
        added in btree_set(any::<u64>(), 0..40),
        removed in btree_set(any::<u64>(), 0..40),
        later in vec(any::<u8>(), 0..4),
    ) {
        let (from, to) = versions;
        let (added, removed) = (hashes(added), hashes(removed));
        // A later release adds fields.
        let read = |record: Record| Bytes::from([&record.body[..], &later[..]].concat());
        for hashes in [None, Some(added.clone())] {
            let snapshot = InterestSnapshot { version: from, hashes };
            prop_assert_eq!(InterestSnapshot::decode(read(snapshot.encode())), Ok(snapshot));
        }
        let delta = InterestDelta { from, to, added, removed };
        prop_assert_eq!(InterestDelta::decode(read(delta.encode())), Ok(delta));
    }

    #[test]
    fn any_bytes_are_read_without_panic_and_in_little_memory(
        bytes in vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..400),
    ) {
        let bytes = Bytes::from(bytes);
        // The first clone allocates the counter of the clones.
        let [one, other] = [(); 2].map(|()| bytes.clone());
        let (mut delta, mut snapshot) = (None, None);
        let cost = measure(|| {
            delta = InterestDelta::decode(one).ok();
            snapshot = InterestSnapshot::decode(other).ok();
        });
        prop_assert!(cost.bytes_max <= 2 * bytes.len() as u64, "{} bytes", cost.bytes_max);
        let (mut receiver, now) = (InterestIn::new(), Instant::now());
        snapshot.iter().for_each(|snapshot| receiver.sync(snapshot));
        delta.iter().for_each(|delta| receiver.delta(delta, now));
    }
}

#[test]
fn lists_have_a_limit_and_an_order() {
    let delta = |added: Vec<TagHash>, removed: Vec<TagHash>| {
        let delta = InterestDelta { from: 1, to: 2, added, removed };
        InterestDelta::decode(delta.encode().body).map(|_| ())
    };
    let many = |count: usize| hashes(0..count as u64);
    assert_eq!(delta(many(CLUSTER_INTEREST), many(CLUSTER_INTEREST)), Ok(()));
    let too_long = WireError::TooLong {
        what: "list of tag hashes",
        length: CLUSTER_INTEREST + 1,
        limit: CLUSTER_INTEREST,
    };
    assert_eq!(delta(many(CLUSTER_INTEREST + 1), Vec::new()), Err(too_long));
    assert_eq!(delta(Vec::new(), many(CLUSTER_INTEREST + 1)), Err(too_long));
    let unordered = Err(WireError::Unordered { what: "list of tag hashes" });
    assert_eq!(delta(hashes([2, 1]), Vec::new()), unordered);
    assert_eq!(delta(Vec::new(), hashes([1, 1])), unordered);
    let mut bytes = BytesMut::from(&[0; 8][..]);
    bytes.put_u8(1);
    bytes.put_u32(u32::MAX);
    assert_eq!(InterestSnapshot::decode(bytes.freeze()), Err(WireError::Truncated));
    // A kind of a newer release is everything.
    let newer = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 1, 9]);
    let everything = InterestSnapshot { version: 1, hashes: None };
    assert_eq!(InterestSnapshot::decode(newer), Ok(everything));
}
