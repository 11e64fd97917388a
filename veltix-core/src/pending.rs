//! Request ids and pending calls: the ids that mean calls, the waiter of each pending call, and the
//! ids that rest because an answer may still arrive.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

use thiserror::Error;

use crate::limits::ID_REST;
use crate::message::{IdSpace, RequestId};

/// Limits the stale entries in the list of resting ids, beyond twice the number of ids. Above it,
/// stale entries are removed.
const STALE_RESTS: usize = 64;

/// Reports that no call can be made now, because every id is pending or resting.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "all request ids of this connection are pending or resting: await earlier calls first, or raise their timeout"
)]
#[non_exhaustive]
pub struct IdsExhausted;

/// Describes the meaning of a received id.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "an id is one of these three, now and later")]
pub enum Answer<W> {
    /// The message answers a call. The variant holds the waiter of that call.
    Call(W),
    /// The id belongs to our calls, but no call waits for it: the answer is late, a duplicate, or
    /// forged.
    Late,
    /// The id does not belong to our calls: the message is the peer's own, or answers a plain
    /// message.
    NotACall,
}

/// Holds the pending calls of one connection, each with its waiter.
///
/// The id of an abandoned call rests until its answer arrives or [`ID_REST`] has passed. If another
/// call used the id at once, the late answer would complete that call.
#[derive(Debug)]
pub struct Pending<W> {
    space: IdSpace,
    /// Holds the id at which the search for a free id begins, so that ids are used in turn.
    next: u16,
    waiting: usize,
    slots: HashMap<u16, Slot<W>, BuildHasherDefault<IdHasher>>,
    /// Lists resting ids, the longest resting first. An entry is stale if its slot has changed
    /// since.
    resting: VecDeque<(Instant, u16)>,
}

#[derive(Debug)]
enum Slot<W> {
    Waiting(W),
    Resting(Instant),
}

impl<W> Pending<W> {
    /// Creates a table without pending calls. It allocates no memory before the first call.
    #[must_use]
    pub fn new(space: IdSpace) -> Self {
        Self {
            space,
            next: space.first_call(),
            waiting: 0,
            slots: HashMap::default(),
            resting: VecDeque::new(),
        }
    }

    /// Returns the ids that calls use.
    #[must_use]
    pub const fn space(&self) -> IdSpace {
        self.space
    }

    /// Returns the number of calls that wait for their answer.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.waiting
    }

    /// Returns whether no call waits for its answer.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Takes the next free id for a call.
    ///
    /// # Errors
    /// Returns [`IdsExhausted`] if every id is pending or resting.
    pub fn begin(&mut self, waiter: W, now: Instant) -> Result<RequestId, IdsExhausted> {
        self.wake_rested(now);
        if self.slots.len() >= self.space.capacity() {
            return Err(IdsExhausted);
        }
        while self.slots.contains_key(&self.next) {
            self.next = self.space.after(self.next);
        }
        let id = self.next;
        self.next = self.space.after(id);
        self.slots.insert(id, Slot::Waiting(waiter));
        self.waiting += 1;
        Ok(RequestId::new(id))
    }

    /// Returns the waiter of the pending call with this id, if there is one.
    #[must_use]
    pub fn waiter(&self, id: RequestId) -> Option<&W> {
        match self.slots.get(&id.value()) {
            Some(Slot::Waiting(waiter)) => Some(waiter),
            _ => None,
        }
    }

    /// Processes an answer with this id. The first answer takes the waiter, and the id is free
    /// again.
    pub fn answer(&mut self, id: RequestId) -> Answer<W> {
        match self.slots.remove(&id.value()) {
            Some(Slot::Waiting(waiter)) => {
                self.waiting -= 1;
                Answer::Call(waiter)
            }
            Some(Slot::Resting(_)) => Answer::Late,
            None if self.space.is_call(id) => Answer::Late,
            None => Answer::NotACall,
        }
    }

    /// Abandons a call whose answer may still arrive. Its id rests.
    pub fn give_up(&mut self, id: RequestId, now: Instant) -> Option<W> {
        self.waiter(id)?;
        if self.resting.len() >= 2 * self.slots.len() + STALE_RESTS {
            self.sweep();
        }
        let slot = self.slots.get_mut(&id.value())?;
        let until = now + ID_REST;
        let Slot::Waiting(waiter) = std::mem::replace(slot, Slot::Resting(until)) else {
            return None;
        };
        self.waiting -= 1;
        self.resting.push_back((until, id.value()));
        Some(waiter)
    }

    /// Abandons all calls while the connection continues. Their ids rest.
    pub fn give_up_all(&mut self, now: Instant) -> Vec<W> {
        let waiting = |(id, slot): (&u16, &Slot<W>)| match slot {
            Slot::Waiting(_) => Some(RequestId::new(*id)),
            Slot::Resting(_) => None,
        };
        let ids: Vec<_> = self.slots.iter().filter_map(waiting).collect();
        ids.into_iter().filter_map(|id| self.give_up(id, now)).collect()
    }

    /// Cancels a call that was never sent. No answer can arrive for it, so its id is free at once.
    pub fn take_back(&mut self, id: RequestId) -> Option<W> {
        match self.slots.remove(&id.value())? {
            Slot::Waiting(waiter) => {
                self.waiting -= 1;
                Some(waiter)
            }
            resting @ Slot::Resting(_) => {
                self.slots.insert(id.value(), resting);
                None
            }
        }
    }

    /// Ends all pending calls, because the connection is lost, and forgets resting ids.
    pub fn end(&mut self) -> Vec<W> {
        self.waiting = 0;
        self.resting = VecDeque::new();
        std::mem::take(&mut self.slots)
            .into_values()
            .filter_map(|slot| match slot {
                Slot::Waiting(waiter) => Some(waiter),
                Slot::Resting(_) => None,
            })
            .collect()
    }

    /// Removes the entries of ids whose rest an answer has ended, so that the length of the list
    /// stays in proportion to the number of ids.
    fn sweep(&mut self) {
        let slots = &self.slots;
        self.resting.retain(
            |(until, id)| matches!(slots.get(id), Some(Slot::Resting(rest)) if rest == until),
        );
    }

    fn wake_rested(&mut self, now: Instant) {
        while let Some(&(until, id)) = self.resting.front() {
            if until > now {
                break;
            }
            self.resting.pop_front();
            // An answer may have freed the id meanwhile, and the id of a second call may be resting
            // now.
            if matches!(self.slots.get(&id), Some(Slot::Resting(rest)) if *rest == until) {
                self.slots.remove(&id);
            }
        }
    }
}

/// Hashes an id by one multiplication that spreads neighbours. This side gives out the ids in turn,
/// so no peer can choose keys that collide.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u16(u16::from(byte));
        }
    }

    fn write_u16(&mut self, id: u16) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::{ENOUGH_CALL_IDS, SERVER_HALF};

    const fn id(value: u16) -> RequestId {
        RequestId::new(value)
    }

    #[test]
    fn a_call_that_was_given_up_is_not_taken_back() {
        let (now, space) =
            (Instant::now(), IdSpace::client_beside(SERVER_HALF - 1 - ENOUGH_CALL_IDS));
        let mut pending = Pending::new(space);
        let first = pending.begin("first", now).unwrap();
        assert_eq!(pending.give_up(first, now), Some("first"));
        assert_eq!(pending.take_back(first), None);
        // The id still rests: all other ids are given out before it.
        for _ in 1..space.capacity() {
            assert_ne!(pending.begin("other", now), Ok(first));
        }
        assert_eq!(pending.begin("one more", now), Err(IdsExhausted));
    }

    #[test]
    fn halves_and_windows() {
        let server = IdSpace::server();
        assert_eq!((server.plain(), server.capacity()), (id(32768), 32767));
        assert!(server.is_call(id(32769)) && server.is_call(id(65535)));
        assert!(!server.is_call(id(32768)) && !server.is_call(id(1)));
        let client = IdSpace::client();
        assert_eq!((client.plain(), client.capacity()), (id(0), 32767));
        assert!(client.is_call(id(1)) && client.is_call(id(32767)) && !client.is_call(id(0)));
        let beside = IdSpace::client_beside(30_000);
        assert_eq!((beside.plain(), beside.capacity()), (id(30_000), 2_767));
        assert!(!beside.is_call(id(30_000)) && beside.is_call(id(30_001)));
        assert!(!IdSpace::client_beside(32_511).must_check_type());
        assert!(IdSpace::client_beside(32_512).must_check_type());
        assert!(IdSpace::client_beside(u16::MAX).must_check_type());
    }

    #[test]
    fn an_answer_completes_its_call_once() {
        let now = Instant::now();
        let mut pending = Pending::new(IdSpace::client());
        let first = pending.begin("first", now).unwrap();
        let second = pending.begin("second", now).unwrap();
        assert_eq!((first, second), (id(1), id(2)));
        assert_eq!(pending.answer(second), Answer::Call("second"));
        assert_eq!(pending.answer(second), Answer::Late, "a duplicate");
        assert_eq!(pending.answer(id(0)), Answer::NotACall, "an answer to a plain message");
        assert_eq!(pending.answer(id(40_000)), Answer::NotACall, "the peer's own half");
        assert_eq!(pending.len(), 1);
    }

    #[test]
    fn ids_go_round_and_never_meet_one_in_flight() {
        let now = Instant::now();
        let mut pending = Pending::new(IdSpace::client_beside(32_500));
        let capacity = pending.space().capacity() as u16;
        let kept = pending.begin(0, now).unwrap();
        for _ in 0..3 * capacity {
            let id = pending.begin(1, now).unwrap();
            assert_ne!(id, kept);
            assert!(pending.space().is_call(id));
            assert_eq!(pending.answer(id), Answer::Call(1));
        }
        assert_eq!(pending.answer(kept), Answer::Call(0));
    }

    #[test]
    fn a_given_up_id_rests_until_answered_or_a_minute() {
        let now = Instant::now();
        let mut pending = Pending::new(IdSpace::client_beside(32_511));
        let capacity = pending.space().capacity();
        let ids: Vec<_> = (0..capacity).map(|n| pending.begin(n, now).unwrap()).collect();
        assert_eq!(pending.begin(0, now), Err(IdsExhausted));
        assert_eq!(pending.give_up(ids[3], now), Some(3));
        assert_eq!(pending.give_up(ids[3], now), None, "only once");
        assert_eq!(pending.begin(0, now), Err(IdsExhausted), "it rests");
        assert_eq!(pending.answer(ids[3]), Answer::Late);
        assert_eq!(pending.begin(99, now), Ok(ids[3]), "the late answer freed it");
        assert_eq!(pending.give_up(ids[3], now + Duration::from_secs(1)), Some(99));
        assert_eq!(pending.begin(0, now + ID_REST), Err(IdsExhausted), "the second rest counts");
        let later = now + ID_REST + Duration::from_secs(1);
        assert_eq!(pending.begin(100, later), Ok(ids[3]));
    }

    #[test]
    fn a_call_that_was_never_sent_frees_its_id_at_once() {
        let now = Instant::now();
        let mut pending = Pending::new(IdSpace::server());
        let id = pending.begin("x", now).unwrap();
        assert_eq!(pending.take_back(id), Some("x"));
        assert_eq!(pending.take_back(id), None);
        assert!(pending.is_empty());
    }

    #[test]
    fn ids_rest_when_all_calls_are_given_up() {
        let now = Instant::now();
        let mut pending = Pending::new(IdSpace::server());
        let id = pending.begin("x", now).unwrap();
        assert_eq!(pending.give_up_all(now), ["x"]);
        assert_eq!(pending.answer(id), Answer::Late);
        assert!(pending.is_empty());
    }

    #[test]
    fn a_lost_connection_ends_all() {
        let now = Instant::now();
        let mut pending = Pending::new(IdSpace::server());
        let ids: Vec<_> = (0..10).map(|n| pending.begin(n, now).unwrap()).collect();
        pending.give_up(ids[0], now);
        let mut ended = pending.end();
        ended.sort_unstable();
        assert_eq!(ended, (1..10).collect::<Vec<_>>());
        assert!(pending.is_empty() && pending.slots.is_empty());
    }
}
