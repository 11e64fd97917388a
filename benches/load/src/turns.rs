//! The order of measurements in a round.

/// Returns the indices of `entrants` entrants in the order of a round. The order is reversed in every
/// second round, so that a drift of the machine's speed affects all of them alike.
pub(crate) fn order(round: usize, entrants: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..entrants).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_reversed_each_round() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
        assert_eq!(order(2, 3), [0, 1, 2]);
    }
}
