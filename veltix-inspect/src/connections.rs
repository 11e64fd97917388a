//! [`Connections`]: the number of connections at a time, in all and of one address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use veltix_core::limits::{INSPECT_CONNECTIONS, INSPECT_CONNECTIONS_PER_ADDRESS};

/// The number of connections at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of: BTreeMap<IpAddr, usize>,
}

/// The place of one connection, which is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    connections: Connections,
    ip: IpAddr,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, if there is one for this address.
    pub(crate) fn take(&self, ip: IpAddr) -> Option<Permit> {
        let mut open = self.lock();
        if open.all >= INSPECT_CONNECTIONS {
            return None;
        }
        let of = open.of.entry(ip).or_default();
        if *of >= INSPECT_CONNECTIONS_PER_ADDRESS {
            return None;
        }
        *of += 1;
        open.all += 1;
        Some(Permit { connections: self.clone(), ip })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all -= 1;
        if let Some(of) = open.of.get_mut(&self.ip) {
            *of -= 1;
            if *of == 0 {
                open.of.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn one_address_has_a_part_of_the_places() {
        let connections = Connections::default();
        let ip = |last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
        let mut held: Vec<_> = (0..INSPECT_CONNECTIONS_PER_ADDRESS)
            .map(|_| connections.take(ip(1)).expect("there is room"))
            .collect();
        assert!(connections.take(ip(1)).is_none());
        for last in 2.. {
            let Some(permit) = connections.take(ip(last)) else { break };
            held.push(permit);
        }
        assert_eq!(held.len(), INSPECT_CONNECTIONS);
        held.clear();
        assert!(connections.take(ip(1)).is_some());
        assert!(connections.lock().of.is_empty());
    }
}
