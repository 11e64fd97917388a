//! [`Handshakes`]: the pending handshakes of a server, and their limits.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::network_of;
use crate::sync::Mutex;

/// The pending handshakes of a server. Above a limit, one of them is shed at random: a peer that
/// floods the server with silent connections sheds mostly its own, and an honest peer is likely to
/// succeed.
#[derive(Debug)]
pub(crate) struct Handshakes {
    pending: Arc<Mutex<Pending>>,
    max: usize,
    max_per_address: usize,
}

#[derive(Debug, Default)]
struct Pending {
    tickets: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    ticket: u64,
    /// The result of [`network_of`] for the peer's address. `None` if the address has no limit, or is not
    /// known yet.
    network: Option<IpAddr>,
    /// Dropping the sender sheds the handshake.
    _keep: oneshot::Sender<()>,
}

/// A pending handshake. Its parts belong to two futures: the handshake, and the wait for its shedding.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) place: Place,
    pub(crate) shed: Shed,
}

/// The place of a pending handshake. Dropping it removes the handshake from the pending ones.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    pending: Arc<Mutex<Pending>>,
}

/// The shedding of a pending handshake.
#[derive(Debug)]
pub(crate) struct Shed(oneshot::Receiver<()>);

impl Handshakes {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Self {
        Self { pending: Arc::default(), max, max_per_address }
    }

    /// Adds a handshake, and sheds another one if a limit is exceeded.
    pub(crate) fn enter(&self, ip: Option<IpAddr>) -> Ticket {
        let (keep, shed) = oneshot::channel();
        // Otherwise the owner of an IPv6 network could take every place with ever new addresses.
        let network = ip.map(network_of);
        let mut pending = self.pending.lock();
        let shed_at = match pending.one_of(network, self.max_per_address) {
            None if pending.entries.len() >= self.max => {
                Some(fastrand::usize(..pending.entries.len()))
            }
            of_address => of_address,
        };
        let other = shed_at.map(|at| pending.entries.swap_remove(at));
        pending.tickets += 1;
        let number = pending.tickets;
        pending.entries.push(Entry { ticket: number, network, _keep: keep });
        drop(pending);
        // Dropping the entry wakes its task, so it happens outside the lock.
        drop(other);
        Ticket { place: Place { number, pending: Arc::clone(&self.pending) }, shed: Shed(shed) }
    }

    /// Notes the address of a pending handshake that entered without one: the address is that of a client
    /// behind a load balancer, or the load balancer's own. From now on it counts for its limit, and
    /// another handshake of the address is shed if there are too many.
    ///
    /// Before that, the handshakes of a load balancer count in all and not for its address: they are those of
    /// many clients, and one of them must not be shed as a flood of one client would be.
    pub(crate) fn locate(&self, place: &Place, ip: Option<IpAddr>) {
        let Some(network) = ip.map(network_of) else { return };
        let mut pending = self.pending.lock();
        // It may have been shed meanwhile.
        let Some(at) = pending.position(place.number) else { return };
        let shed_at = pending.one_of(Some(network), self.max_per_address);
        pending.entries[at].network = Some(network);
        let other = shed_at.map(|at| pending.entries.swap_remove(at));
        drop(pending);
        // As above.
        drop(other);
    }

    /// Sheds all pending handshakes.
    pub(crate) fn shed_all(&self) {
        let shed = std::mem::take(&mut self.pending.lock().entries);
        // Dropping the entries wakes their tasks, so it happens outside the lock.
        drop(shed);
    }

    /// Returns the number of pending handshakes.
    pub(crate) fn len(&self) -> usize {
        self.pending.lock().entries.len()
    }
}

impl Pending {
    /// Returns the position of one of the network's handshakes, chosen at random, if there are at least
    /// `max` of them.
    fn one_of(&self, network: Option<IpAddr>, max: usize) -> Option<usize> {
        let neighbours = |entry: &Entry| network.is_some() && entry.network == network;
        let of_address = self.entries.iter().filter(|entry| neighbours(entry)).count();
        if of_address < max {
            return None;
        }
        let nth = fastrand::usize(..of_address);
        let all = self.entries.iter().enumerate();
        all.filter(|(_, entry)| neighbours(entry)).nth(nth).map(|(at, _)| at)
    }

    fn position(&self, ticket: u64) -> Option<usize> {
        self.entries.iter().position(|entry| entry.ticket == ticket)
    }
}

impl Shed {
    /// Waits until this handshake is shed.
    pub(crate) async fn wait(&mut self) {
        // No value is ever sent: the sender is dropped.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut pending = self.pending.lock();
        if let Some(at) = pending.position(self.number) {
            pending.entries.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(last: u8) -> Option<IpAddr> {
        Some(Ipv4Addr::new(10, 0, 0, last).into())
    }

    fn is_shed(ticket: &mut Ticket) -> bool {
        matches!(ticket.shed.0.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn one_address_sheds_its_own() {
        let handshakes = Handshakes::new(512, 32);
        let mut honest = handshakes.enter(ip(1));
        let mut flood: Vec<_> = (0..100).map(|_| handshakes.enter(ip(2))).collect();
        assert!(!is_shed(&mut honest));
        assert_eq!(flood.iter_mut().map(is_shed).filter(|shed| !shed).count(), 32);
        assert_eq!(handshakes.len(), 33);
        drop((flood, honest));
        assert_eq!(handshakes.len(), 0);
    }

    /// The owner of an IPv6 network has all of its addresses.
    #[test]
    fn r14_a_network_is_one_address_however_it_is_written() {
        let handshakes = Handshakes::new(512, 4);
        let parse = |text: &str| Some(text.parse().expect("an address"));
        let mut honest = [handshakes.enter(parse("2001:db8:0:1::1")), handshakes.enter(ip(2))];
        let network: Vec<_> = (1..100).map(|last| format!("2001:db8::{last}")).collect();
        let twice = ["10.0.0.1", "::ffff:10.0.0.1"].repeat(50);
        for flood in [network.iter().map(String::as_str).collect(), twice] {
            let mut flood: Vec<_> =
                flood.into_iter().map(|ip| handshakes.enter(parse(ip))).collect();
            assert_eq!(flood.iter_mut().map(is_shed).filter(|shed| !shed).count(), 4);
        }
        assert!(honest.iter_mut().all(|honest| !is_shed(honest)));
    }

    #[test]
    fn clients_of_a_load_balancer_count_by_the_address_that_it_tells() {
        let handshakes = Handshakes::new(512, 4);
        let mut tickets: Vec<_> = (0..100).map(|_| handshakes.enter(None)).collect();
        assert!(!tickets.iter_mut().any(is_shed), "they may be those of a hundred clients");
        for (number, ticket) in tickets.iter().enumerate() {
            // Twenty of one client, and eighty others.
            let client = if number < 20 { 200 } else { number as u8 };
            handshakes.locate(&ticket.place, ip(client));
        }
        let (flood, others) = tickets.split_at_mut(20);
        assert_eq!(flood.iter_mut().map(is_shed).filter(|shed| !shed).count(), 4);
        assert!(!is_shed(&mut flood[19]), "the newest is let in");
        assert!(!others.iter_mut().any(is_shed));
        assert_eq!(handshakes.len(), 84);
        // One that was shed meanwhile takes no place.
        let shed = flood.iter_mut().position(is_shed).expect("most were shed");
        handshakes.locate(&flood[shed].place, ip(200));
        assert_eq!(flood.iter_mut().map(is_shed).filter(|shed| !shed).count(), 4);
        drop(tickets);
        assert_eq!(handshakes.len(), 0);
    }

    #[test]
    fn all_can_be_shed_at_once() {
        let handshakes = Handshakes::new(16, 4);
        let mut tickets: Vec<_> = (0..3).map(|last| handshakes.enter(ip(last))).collect();
        handshakes.shed_all();
        assert!(tickets.iter_mut().all(is_shed));
        let mut later = handshakes.enter(ip(0));
        drop(tickets);
        assert!(!is_shed(&mut later));
        assert_eq!(handshakes.len(), 1);
    }

    #[test]
    fn over_the_cap_one_is_shed_at_random() {
        let handshakes = Handshakes::new(16, 4);
        let mut tickets: Vec<_> = (0..100).map(|last| handshakes.enter(ip(last))).collect();
        assert_eq!(handshakes.len(), 16);
        assert_eq!(tickets.iter_mut().map(is_shed).filter(|shed| !shed).count(), 16);
        assert!(!is_shed(tickets.last_mut().expect("there are some")), "the newest is let in");
    }
}
