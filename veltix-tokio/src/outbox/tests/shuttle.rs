//! The outbox under many schedules of all its users: senders, flushers, the reader at the other
//! end, the closing task, and the connection's own task.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p veltix-tokio --lib shuttle`

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use ::shuttle::future::block_on;
use ::shuttle::rand::{Rng, thread_rng};
use ::shuttle::sync::{Condvar, Mutex};
use ::shuttle::thread::{self, JoinHandle};

use super::*;
use crate::sync::QueuePosition;

/// The number of schedules for each test and scheduler.
const SCHEDULES: usize = 10_000;

const SENDERS: u16 = 2;
const FRAMES: u16 = 3;

/// The code of the values of the first key.
const FIRST_VALUE: u16 = SENDERS + 1;

/// The code of the frames in shared batches.
const SHARED: u16 = FIRST_VALUE + 2;

/// The largest size of a shared batch that most of the outboxes have room for.
const LARGEST: Capacity = Capacity { frames: 3, bytes: 900 };

fn check(test: fn()) {
    ::shuttle::check_random(test, SCHEDULES);
    ::shuttle::check_pct(test, SCHEDULES / 4, 3);
}

fn random(from: usize, to: usize) -> usize {
    thread_rng().gen_range(from..=to)
}

/// A small outbox, and its users.
struct World {
    outbox: Arc<Outbox>,
    socket: Socket,
    others: Vec<JoinHandle<()>>,
}

impl World {
    fn new() -> Self {
        let socket = Socket::new(random(0, 60), random(1, 40));
        let outbox = socket.outbox(Capacity { frames: random(1, 4), bytes: 1_500 });
        Self { outbox, socket, others: Vec::new() }
    }

    /// Creates an outbox with room for all frames that its users push.
    fn roomy() -> Self {
        let socket = Socket::new(random(0, 60), random(1, 40));
        let outbox = socket.outbox(Capacity { frames: 100, bytes: usize::MAX });
        Self { outbox, socket, others: Vec::new() }
    }

    fn spawn(&mut self, other: impl FnOnce(&Outbox, &Socket) + Send + 'static) {
        let (outbox, socket) = (Arc::clone(&self.outbox), self.socket.clone());
        self.others.push(thread::spawn(move || other(&outbox, &socket)));
    }

    /// Starts senders that wait for room. One of them leaves the flush to the owner, as within a
    /// poll.
    fn send(&mut self) {
        for sender in 0..SENDERS {
            self.spawn(move |outbox, _| {
                for id in 0..FRAMES {
                    let mut frame = Some(frame(sender, id, random(HEADER_LEN, 40)));
                    let mut place = QueuePosition::default();
                    let queued = block_on(poll_fn(|cx| {
                        let sending = frame.take().expect("it came back");
                        match outbox.push_or_wait(sending, Some((&mut place, cx.waker()))) {
                            Push::Queued(queued) => Poll::Ready(Some(queued)),
                            Push::Closed => Poll::Ready(None),
                            Push::Full(full) => {
                                frame = Some(full);
                                Poll::Pending
                            }
                        }
                    }));
                    ensure_flush(outbox, queued.is_some_and(|queued| queued.first), sender);
                }
            });
        }
    }

    /// Starts a thread that broadcasts, which never waits.
    fn broadcast(&mut self) {
        self.spawn(|outbox, _| {
            for id in 0..FRAMES {
                let policy = [OverflowPolicy::DropOldest, OverflowPolicy::DropNewest];
                let policy = policy[random(0, 1)];
                let overflow = outbox.push_or(frame(SENDERS, id, random(HEADER_LEN, 40)), policy);
                let first = matches!(overflow, Overflow::Queued(queued) if queued.first);
                ensure_flush(outbox, first, SENDERS);
            }
        });
    }

    /// Starts a thread that sends or broadcasts values of two keys. No other frame in the outbox is
    /// droppable, unless [`World::broadcast`] runs too.
    fn publish(&mut self) {
        self.spawn(|outbox, _| {
            for id in 0..2 * FRAMES {
                // The id is a part of a value's identity, so the length of the body numbers the
                // values instead.
                let key = random(0, 1) as u16;
                let code = FIRST_VALUE + key;
                let frame = latest(key, frame(code, 0, HEADER_LEN + usize::from(id)));
                let first = if random(0, 1) == 0 {
                    let overflow = outbox.push_or(frame, OverflowPolicy::Disconnect);
                    assert_ne!(overflow, Overflow::Disconnect, "a value never disconnects");
                    matches!(overflow, Overflow::Queued(queued) if queued.first)
                } else {
                    matches!(outbox.push(frame), Push::Queued(queued) if queued.first)
                };
                ensure_flush(outbox, first, code);
            }
        });
    }

    /// Starts the broadcasts of two polls, shared as batches with the outboxes of these other
    /// worlds. Returns the number of frames that each of the outboxes took.
    fn open_batch(&self, others: &[&Self]) -> JoinHandle<Vec<u16>> {
        let mut outboxes = vec![Arc::clone(&self.outbox)];
        outboxes.extend(others.iter().map(|world| Arc::clone(&world.outbox)));
        thread::spawn(move || {
            let mut taken = vec![0; outboxes.len()];
            for batch in 0..2 {
                open_batch(&outboxes, batch * FRAMES, &mut taken);
            }
            taken
        })
    }

    /// Starts the other end, which reads everything in the end.
    fn read(&mut self) {
        self.spawn(|_, socket| {
            for _ in 0..3 {
                socket.give(random(1, 60));
            }
            socket.give(usize::MAX);
        });
    }

    fn join(&mut self) {
        self.others.drain(..).for_each(|other| other.join().expect("it ends"));
    }

    /// Checks that no frame waits any more, and that all written frames have arrived, in the order
    /// of each sender.
    fn verify(&self) {
        let sent = self.outbox.sent();
        assert_eq!((sent.queued, sent.accepted), (0, sent.written + sent.dropped()));
        let frames = self.socket.frames();
        assert_eq!(frames.len() as u64, sent.written);
        for sender in (0..=SENDERS).chain([SHARED]) {
            let ids: Vec<_> = frames.iter().filter(|(code, _)| *code == sender).collect();
            assert!(ids.is_sorted_by(|a, b| a < b), "{frames:?}");
        }
        let values = self.socket.lengths();
        for code in [FIRST_VALUE, FIRST_VALUE + 1] {
            let lengths: Vec<_> = values.iter().filter(|(of, _)| *of == code).collect();
            assert!(lengths.is_sorted_by(|a, b| a < b), "each key in order: {values:?}");
        }
        let by_type = self.outbox.state.lock().drops.snapshot();
        assert_eq!(by_type.iter().map(Dropped::total).sum::<u64>(), sent.dropped());
    }
}

/// Broadcasts the frames of one poll, as a shared batch of the hub does. `from` is the id of the
/// first.
fn open_batch(outboxes: &[Arc<Outbox>], from: u16, taken: &mut [u16]) {
    let first_frame = frame(SHARED, from, random(HEADER_LEN, 40));
    let batch = Arc::new(SharedBatch::of(LARGEST, &first_frame).expect("it is small"));
    let mut outside = Vec::new();
    let mut flushes = vec![false; outboxes.len()];
    for (outbox, member) in outboxes.iter().zip(0..) {
        match outbox.join(&batch, member) {
            Some(joined) => flushes[member as usize] |= joined.queued.first,
            None => outside.push(member),
        }
    }
    for id in from..from + FRAMES {
        let mut frame = frame(SHARED, id, random(HEADER_LEN, 40));
        if id == from {
            frame = first_frame.clone();
        } else {
            assert!(batch.add(&frame, &mut outside).is_some());
        }
        for member in (0..).take(outboxes.len()) {
            let at = member as usize;
            if !outside.contains(&member) {
                taken[at] += 1;
            } else if let Push::Queued(queued) = outboxes[at].push(frame.clone()) {
                taken[at] += 1;
                flushes[at] |= queued.first;
            }
        }
    }
    batch.finish();
    for (outbox, first) in outboxes.iter().zip(flushes) {
        ensure_flush(outbox, first, random(0, 1) as u16);
    }
}

/// Ensures the flush after the first queued frame: at once, or by the owner.
fn ensure_flush(outbox: &Outbox, first: bool, sender: u16) {
    match (first, sender) {
        (false, _) => {}
        (true, 0) => outbox.wake_owner(),
        (true, _) => outbox.flush(),
    }
}

/// The connection's own task, on a thread that polls it when it is woken.
#[derive(Default)]
struct Owner {
    state: Mutex<OwnerState>,
    changed: Condvar,
}

#[derive(Default)]
struct OwnerState {
    woken: bool,
    asleep: bool,
    has_ended: bool,
    /// The number of dropped frames that were reported to the owner.
    reported: u64,
}

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        self.change(|state| state.woken = true);
    }
}

impl Owner {
    fn change(&self, change: impl FnOnce(&mut OwnerState)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, until: impl Fn(&OwnerState) -> bool) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| !until(state)).unwrap());
    }

    /// Runs until it is asked to end. Returns the last status that it saw.
    fn run(self: Arc<Self>, outbox: Arc<Outbox>) -> JoinHandle<OutboxStatus> {
        thread::spawn(move || {
            let waker = Waker::from(Arc::clone(&self));
            loop {
                self.change(|state| (state.woken, state.asleep) = (false, false));
                let mut seen = turn(&outbox, &mut Context::from_waker(&waker));
                if seen.dropped {
                    let reported = outbox.take_dropped().iter().map(Dropped::total).sum::<u64>();
                    self.change(|state| state.reported += reported);
                    seen.dropped = false;
                }
                self.change(|state| state.asleep = true);
                self.wait(|state| state.woken || state.has_ended);
                if !self.state.lock().unwrap().woken {
                    return seen;
                }
            }
        })
    }

    /// Waits until the owner sleeps and no wake is pending.
    fn rest(&self) {
        self.wait(|state| state.asleep && !state.woken);
    }
}

/// When all other threads have ended and the owner sleeps, no frame waits any more, and the last
/// status that the owner has seen is the current one.
#[test]
fn no_frame_and_no_wake_is_lost() {
    check(|| {
        let mut world = World::new();
        let owner = Arc::new(Owner::default());
        let running = Arc::clone(&owner).run(Arc::clone(&world.outbox));
        world.send();
        world.broadcast();
        world.publish();
        world.spawn(|outbox, _| outbox.flush());
        world.read();
        world.join();
        owner.rest();
        world.verify();
        owner.change(|state| state.has_ended = true);
        let seen = running.join().unwrap();
        assert!(seen.stalled_since.is_none(), "{seen:?}");
    });
}

/// Each outbox of a shared batch receives all of it, in order, whatever else happens to the outbox.
#[test]
fn a_run_arrives_everywhere() {
    check(|| {
        let mut worlds = [World::roomy(), World::roomy()];
        let owner = Arc::new(Owner::default());
        let other_owner = Arc::new(Owner::default());
        let running = [(&owner, &worlds[0]), (&other_owner, &worlds[1])]
            .map(|(owner, world)| Arc::clone(owner).run(Arc::clone(&world.outbox)));
        worlds[0].spawn(|outbox, _| {
            let queued = outbox.push(frame(0, 0, 20));
            ensure_flush(outbox, matches!(queued, Push::Queued(queued) if queued.first), 0);
            outbox.flush();
        });
        worlds.iter_mut().for_each(World::read);
        let published = worlds[0].open_batch(&[&worlds[1]]);
        let taken = published.join().unwrap();
        assert_eq!(taken, [2 * FRAMES; 2]);
        worlds.iter_mut().for_each(World::join);
        for (world, owner) in worlds.iter().zip([&owner, &other_owner]) {
            owner.rest();
            world.verify();
            let frames = world.socket.frames();
            let ids = frames.iter().filter(|(code, _)| *code == SHARED).map(|(_, id)| *id);
            assert!(ids.eq(0..2 * FRAMES), "{frames:?}");
            owner.change(|state| state.has_ended = true);
        }
        for running in running {
            running.join().unwrap();
        }
    });
}

/// If there is room for all frames, the newest value of each key comes last, and the superseded
/// values are counted and reported.
#[test]
fn the_newest_value_of_each_key_arrives() {
    check(|| {
        let mut world = World::roomy();
        let owner = Arc::new(Owner::default());
        let running = Arc::clone(&owner).run(Arc::clone(&world.outbox));
        world.send();
        let newest = Arc::new(Mutex::new([0; 2]));
        let recorded = Arc::clone(&newest);
        world.spawn(move |outbox, _| {
            for length in 1..=2 * FRAMES {
                let key = random(0, 1) as u16;
                let frame = frame(FIRST_VALUE + key, 0, HEADER_LEN + usize::from(length));
                let queued = outbox.push(latest(key, frame));
                let first = matches!(queued, Push::Queued(queued) if queued.first);
                ensure_flush(outbox, first, key);
                recorded.lock().unwrap()[usize::from(key)] = usize::from(length);
            }
        });
        world.read();
        world.join();
        owner.rest();
        world.verify();
        owner.change(|state| state.has_ended = true);
        let seen = running.join().unwrap();
        let values = world.socket.lengths();
        for (code, newest) in (FIRST_VALUE..).zip(*newest.lock().unwrap()) {
            let last = values.iter().rfind(|(of, _)| *of == code);
            assert_eq!(last.map_or(0, |(_, length)| *length), newest, "{values:?}");
        }
        let sent = world.outbox.sent();
        assert_eq!(sent.dropped(), sent.dropped_superseded);
        assert!(!seen.dropped, "the owner has reported it");
        assert!(world.outbox.take_dropped().is_empty());
        assert_eq!(owner.state.lock().unwrap().reported, sent.dropped());
    });
}

/// A closed outbox counts every frame, whichever thread was using it, and no thread waits for it
/// forever.
#[test]
fn a_close_counts_every_frame() {
    check(|| {
        let mut world = World::new();
        world.send();
        world.broadcast();
        world.publish();
        let published = world.open_batch(&[]);
        world.read();
        world.spawn(|outbox, _| {
            turns(outbox);
            outbox.close(DropReason::Shutdown);
            block_on(poll_fn(|cx| outbox.poll_recorded(cx)));
        });
        published.join().unwrap();
        world.join();
        world.verify();
    });
}

/// Frames that were accepted before the seal are written, and then the end of the stream.
#[test]
fn the_end_comes_after_the_last_frame() {
    check(|| {
        let mut world = World::new();
        world.send();
        world.spawn(|outbox, _| outbox.flush());
        world.read();
        world.spawn(|outbox, socket| {
            turns(outbox);
            outbox.seal();
            block_on(poll_fn(|cx| outbox.poll_finish(cx)));
            assert!(socket.0.lock().ended);
        });
        world.join();
        world.verify();
        assert_eq!(world.outbox.sent().dropped(), 0);
    });
}

/// Takes a few turns of the owner before its end begins.
fn turns(outbox: &Outbox) {
    for _ in 0..random(0, 2) {
        turn(outbox, &mut Context::from_waker(Waker::noop()));
        thread::yield_now();
    }
}
