//! [`Rotation`]: the order in which the addresses of a name are tried, from one attempt to the next.

use std::net::SocketAddr;

/// The addresses of a name that earlier attempts have used. An attempt begins with the address that
/// was not used for the longest time, and takes the families of the others in turns.
///
/// The address to which the attempt before was connected comes last: perhaps its server accepted
/// the connection and then was silent, and such a server wins every race that it takes part in.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    /// The used addresses, the last used one at the end.
    used: Vec<SocketAddr>,
    connected: Option<SocketAddr>,
}

impl Rotation {
    /// Returns the addresses in the order of the next attempt. `resolved` has each address once, in
    /// the system's order of preference.
    pub(super) fn order(&mut self, resolved: &[SocketAddr]) -> Vec<SocketAddr> {
        // The addresses of a name may change from one attempt to the next.
        self.used.retain(|addr| resolved.contains(addr));
        let is_last = |addr: &SocketAddr| Some(*addr) == self.connected;
        let unused = in_turns(resolved).into_iter().filter(|addr| !self.used.contains(addr));
        let mut order: Vec<_> = unused.chain(self.used.iter().copied()).collect();
        let last = order.iter().position(is_last).map(|at| order.remove(at));
        let mut order = in_turns(&order);
        order.extend(last);
        order
    }

    /// Notes that an attempt connects to this address.
    pub(super) fn note_start(&mut self, addr: SocketAddr) {
        self.used.retain(|used| *used != addr);
        self.used.push(addr);
    }

    /// Notes that an attempt is connected to this address.
    pub(super) fn note_connected(&mut self, addr: SocketAddr) {
        self.note_start(addr);
        self.connected = Some(addr);
    }
}

/// Takes the families in turns, beginning with that of the first address (RFC 8305, section 4). The
/// order within a family stays.
fn in_turns(addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addrs.first() else { return Vec::new() };
    let family = |wanted: bool| addrs.iter().copied().filter(move |addr| addr.is_ipv4() == wanted);
    let (mut same, mut other) = (family(first.is_ipv4()), family(!first.is_ipv4()));
    let mut order = Vec::with_capacity(addrs.len());
    while order.len() < addrs.len() {
        order.extend(same.next());
        order.extend(other.next());
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns an address of the family and with the number that the text names, for example `6a`.
    fn addr(text: &str) -> SocketAddr {
        let (family, name) = text.split_at(1);
        let text = if family == "4" {
            format!("10.0.0.{}:1", name.as_bytes()[0])
        } else {
            format!("[fd00::{name}]:1")
        };
        text.parse().expect("an address")
    }

    fn addrs(text: &str) -> Vec<SocketAddr> {
        text.split_whitespace().map(addr).collect()
    }

    #[test]
    fn families_take_turns_from_the_preferred_one() {
        for (resolved, order) in [
            ("", ""),
            ("4a", "4a"),
            ("6a 6b 6c 4a", "6a 4a 6b 6c"),
            ("4a 4b 6a 6b", "4a 6a 4b 6b"),
            ("6a 4a 4b 4c 6b", "6a 4a 6b 4b 4c"),
        ] {
            assert_eq!(in_turns(&addrs(resolved)), addrs(order), "{resolved}");
        }
    }

    #[test]
    fn each_attempt_begins_with_another_address() {
        let resolved = addrs("6a 6b 4a");
        let mut rotation = Rotation::default();
        let begin = |rotation: &mut Rotation| {
            let first = rotation.order(&resolved)[0];
            rotation.note_start(first);
            first
        };
        let begun: Vec<_> = (0..6).map(|_| begin(&mut rotation)).collect();
        assert_eq!(begun, addrs("6a 4a 6b 6a 4a 6b"));
    }

    #[test]
    fn the_address_that_was_connected_comes_last() {
        let resolved = addrs("6a 4a 4b 4c");
        let mut rotation = Rotation::default();
        // `6a` accepts each connection and is silent, and the packets to `4a` are dropped.
        rotation.note_connected(addr("6a"));
        assert_eq!(rotation.order(&resolved), addrs("4a 4b 4c 6a"));
        rotation.note_start(addr("4a"));
        rotation.note_connected(addr("4b"));
        assert_eq!(rotation.order(&resolved), addrs("4c 6a 4a 4b"));
    }

    #[test]
    fn addresses_that_the_name_has_lost_are_forgotten() {
        let mut rotation = Rotation::default();
        rotation.note_start(addr("4a"));
        rotation.note_connected(addr("4b"));
        assert_eq!(rotation.order(&addrs("4c 6a")), addrs("4c 6a"));
        assert!(rotation.used.is_empty());
    }

    proptest! {
        /// As many attempts as there are addresses reach each of them, whichever address wins.
        #[test]
        fn no_address_is_passed_over_for_ever(
            resolved in prop::collection::hash_set((any::<bool>(), 0..26u8), 1..8),
            started in prop::collection::vec((1..8usize, any::<Option<prop::sample::Index>>()), 8),
        ) {
            let name = |(v4, letter)| {
                let octet = b'a' + letter;
                let text = if v4 { format!("10.0.0.{octet}:1") } else { format!("[fd00::{octet}]:1") };
                text.parse().expect("an address")
            };
            let resolved: Vec<SocketAddr> = resolved.into_iter().map(name).collect();
            let mut rotation = Rotation::default();
            let mut tried = Vec::new();
            for (count, winner) in started.into_iter().take(resolved.len()) {
                let order = rotation.order(&resolved);
                let mut sorted = (order.clone(), resolved.clone());
                sorted.0.sort_unstable();
                sorted.1.sort_unstable();
                prop_assert_eq!(sorted.0, sorted.1, "each address is there once");
                let count = count.min(order.len());
                order[..count].iter().for_each(|addr| rotation.note_start(*addr));
                tried.extend_from_slice(&order[..count]);
                if let Some(winner) = winner {
                    rotation.note_connected(order[winner.index(count)]);
                }
            }
            prop_assert!(resolved.iter().all(|addr| tried.contains(addr)), "{tried:?}");
        }
    }
}
