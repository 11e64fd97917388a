//! [`Slots`]: the room for peers, in all and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::network_of;
use crate::sync::Mutex;

/// The room for peers: `max` slots, and optionally a maximum per address.
#[derive(Debug)]
pub(crate) struct Slots {
    taken: Arc<AtomicUsize>,
    max: usize,
    addresses: Option<Arc<Addresses>>,
    /// True while the system refuses to accept connections.
    accept_failing: AtomicBool,
}

/// The number of peers of each address, with the maximum of one address. Addresses without a peer
/// have no entry.
#[derive(Debug)]
struct Addresses {
    taken: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
}

/// The slot of one peer. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Slot {
    taken: Arc<AtomicUsize>,
    /// Boxed, since most servers count no addresses.
    _address: Option<Box<AddressSlot>>,
}

#[derive(Debug)]
struct AddressSlot {
    of: IpAddr,
    addresses: Arc<Addresses>,
}

/// The reason why no slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All slots are taken.
    Server,
    /// All slots of this address are taken.
    Address,
}

impl Slots {
    pub(crate) fn new(max: usize, max_per_address: Option<usize>) -> Self {
        let addresses =
            max_per_address.map(|max| Arc::new(Addresses { taken: Mutex::default(), max }));
        Self { taken: Arc::default(), max, addresses, accept_failing: AtomicBool::new(false) }
    }

    pub(crate) const fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn is_full(&self) -> bool {
        self.taken.load(Ordering::Acquire) >= self.max
    }

    /// Returns the number of free slots: zero while the system refuses to accept connections, even
    /// if slots are left.
    pub(crate) fn free(&self) -> usize {
        match self.accept_failing.load(Ordering::Acquire) {
            true => 0,
            false => self.max.saturating_sub(self.taken.load(Ordering::Acquire)),
        }
    }

    /// Sets whether the system refuses to accept connections.
    pub(crate) fn set_accept_failing(&self, accept_failing: bool) {
        self.accept_failing.store(accept_failing, Ordering::Release);
    }

    /// Checks whether a slot is free now for a peer of this address.
    pub(crate) fn check(&self, ip: Option<IpAddr>) -> Result<(), Full> {
        if self.is_full() {
            return Err(Full::Server);
        }
        match (&self.addresses, ip) {
            (Some(addresses), Some(ip)) if addresses.is_full(network_of(ip)) => Err(Full::Address),
            _ => Ok(()),
        }
    }

    /// Takes a slot, or returns an error if all are taken.
    pub(crate) fn take(&self, ip: Option<IpAddr>) -> Result<Slot, Full> {
        let address = match (&self.addresses, ip) {
            (Some(addresses), Some(ip)) => {
                let slot = Addresses::take(addresses, network_of(ip)).ok_or(Full::Address)?;
                Some(Box::new(slot))
            }
            _ => None,
        };
        let grow = |taken| (taken < self.max).then_some(taken + 1);
        match self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, grow) {
            Ok(_) => Ok(Slot { taken: Arc::clone(&self.taken), _address: address }),
            Err(_) => Err(Full::Server),
        }
    }
}

impl Addresses {
    fn is_full(&self, of: IpAddr) -> bool {
        self.taken.lock().get(&of).is_some_and(|taken| *taken >= self.max)
    }

    fn take(addresses: &Arc<Self>, of: IpAddr) -> Option<AddressSlot> {
        let mut all = addresses.taken.lock();
        let taken = all.get(&of).copied().unwrap_or_default();
        if taken >= addresses.max {
            return None;
        }
        all.insert(of, taken + 1);
        drop(all);
        Some(AddressSlot { of, addresses: Arc::clone(addresses) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut all = self.addresses.taken.lock();
        match all.get_mut(&self.of) {
            Some(taken) if *taken > 1 => *taken -= 1,
            _ => drop(all.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn slots_are_given_back() {
        let slots = Slots::new(2, None);
        let (first, second) = (slots.take(None), slots.take(ip("10.0.0.1")));
        assert!(first.is_ok() && second.is_ok() && slots.is_full());
        assert_eq!(slots.free(), 0);
        assert_eq!(slots.take(None).err(), Some(Full::Server));
        drop(first);
        assert_eq!(slots.free(), 1);
        assert!(!slots.is_full() && slots.take(None).is_ok());
    }

    #[test]
    fn one_address_leaves_room_for_others() {
        let slots = Slots::new(5, Some(2));
        for (one, same, other) in [
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ] {
            let taken = (slots.take(ip(one)), slots.take(ip(same)));
            assert!(taken.0.is_ok() && taken.1.is_ok());
            assert_eq!(slots.check(ip(one)), Err(Full::Address));
            assert_eq!(slots.take(ip(same)).err(), Some(Full::Address));
            assert!(slots.take(ip(other)).is_ok() && slots.take(None).is_ok());
            drop(taken.0);
            let again = slots.take(ip(one));
            assert!(again.is_ok());
            assert_eq!(slots.take(ip(same)).err(), Some(Full::Address), "the other is still there");
        }
        let addresses = slots.addresses.as_ref().expect("they are counted");
        assert!(addresses.taken.lock().is_empty(), "no entry remains without a peer");
    }
}
