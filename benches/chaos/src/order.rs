//! The order of numbered messages: each comes once, in order and without gaps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::Line;

/// The positions in some streams of numbered messages. A stream may begin at any number, since a
/// peer may join in the middle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// The next number of each stream.
    due: BTreeMap<u64, u64>,
    faults: Faults,
}

/// The faults in the order of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Faults {
    /// Messages that came twice, or after a later one.
    pub(crate) disordered: u64,
    /// Messages that did not come although later ones did.
    pub(crate) missing: u64,
}

impl Order {
    /// Records the next received message.
    pub(crate) fn take(&mut self, line: Line) {
        let due = self.due.entry(line.stream).or_insert(line.number);
        if line.number < *due {
            self.faults.disordered += 1;
            return;
        }
        self.faults.missing += line.number - *due;
        *due = line.number + 1;
    }

    pub(crate) const fn faults(&self) -> Faults {
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(numbers: &[(u64, u64)]) -> (u64, u64) {
        let mut order = Order::default();
        numbers.iter().for_each(|(stream, number)| order.take(Line::new(*stream, *number)));
        (order.faults().disordered, order.faults().missing)
    }

    #[test]
    fn streams_may_begin_anywhere_and_mix() {
        assert_eq!(faults(&[(1, 5), (2, 0), (1, 6), (2, 1), (1, 7)]), (0, 0));
    }

    #[test]
    fn duplicates_swaps_and_gaps_are_seen() {
        assert_eq!(faults(&[(1, 0), (1, 0)]), (1, 0));
        assert_eq!(faults(&[(1, 0), (1, 2), (1, 1)]), (1, 1));
        assert_eq!(faults(&[(1, 0), (1, 4)]), (0, 3));
    }
}
