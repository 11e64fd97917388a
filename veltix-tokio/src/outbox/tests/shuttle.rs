//! The outbox under many schedules of all who touch it: those who send, who flush, who read at
//! the other end, who close, and the connection's own task.
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
use crate::waiters::Place;

/// Schedules for each test and scheduler.
const SCHEDULES: usize = 10_000;

const SENDERS: u16 = 2;
const FRAMES: u16 = 3;

fn check(test: fn()) {
    ::shuttle::check_random(test, SCHEDULES);
    ::shuttle::check_pct(test, SCHEDULES / 4, 3);
}

fn random(from: usize, to: usize) -> usize {
    thread_rng().gen_range(from..=to)
}

/// A small outbox, and those who use it.
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

    fn spawn(&mut self, other: impl FnOnce(&Outbox, &Socket) + Send + 'static) {
        let (outbox, socket) = (Arc::clone(&self.outbox), self.socket.clone());
        self.others.push(thread::spawn(move || other(&outbox, &socket)));
    }

    /// Those who send, and wait for room; one of them flushes itself, as within a batch.
    fn send(&mut self) {
        for sender in 0..SENDERS {
            self.spawn(move |outbox, _| {
                for id in 0..FRAMES {
                    let mut frame = Some(frame(sender, id, random(HEADER_LEN, 40)));
                    let mut place = Place::default();
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
                    see_to_it(outbox, queued.is_some_and(|queued| queued.first), sender);
                }
            });
        }
    }

    /// A broadcast, which never waits.
    fn broadcast(&mut self) {
        self.spawn(|outbox, _| {
            for id in 0..FRAMES {
                let policy = [OverflowPolicy::DropOldest, OverflowPolicy::DropNewest];
                let policy = policy[random(0, 1)];
                let overflow = outbox.push_or(frame(SENDERS, id, random(HEADER_LEN, 40)), policy);
                let first = matches!(overflow, Overflow::Queued(queued) if queued.first);
                see_to_it(outbox, first, SENDERS);
            }
        });
    }

    /// The other end, which reads all in the end.
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

    /// Nothing waits any more, and what was written has come, each sender's in order.
    fn verify(&self) {
        let sent = self.outbox.sent();
        assert_eq!((sent.queued, sent.accepted), (0, sent.written + sent.dropped()));
        let frames = self.socket.frames();
        assert_eq!(frames.len() as u64, sent.written);
        for sender in 0..=SENDERS {
            let ids: Vec<_> = frames.iter().filter(|(code, _)| *code == sender).collect();
            assert!(ids.is_sorted_by(|a, b| a < b), "{frames:?}");
        }
    }
}

/// Whoever was the first to queue a frame sees to the flush: at once, or through the owner.
fn see_to_it(outbox: &Outbox, first: bool, sender: u16) {
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
    over: bool,
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

    /// Runs until it is told to end; says what it saw last.
    fn run(self: Arc<Self>, outbox: Arc<Outbox>) -> JoinHandle<Glance> {
        thread::spawn(move || {
            let waker = Waker::from(Arc::clone(&self));
            loop {
                self.change(|state| (state.woken, state.asleep) = (false, false));
                let seen = turn(&outbox, &mut Context::from_waker(&waker));
                self.change(|state| state.asleep = true);
                self.wait(|state| state.woken || state.over);
                if !self.state.lock().unwrap().woken {
                    return seen;
                }
            }
        })
    }

    /// Waits until nobody has woken it any more.
    fn rest(&self) {
        self.wait(|state| state.asleep && !state.woken);
    }
}

/// With nobody left but a rested owner, nothing waits any more, and what the owner has seen last
/// is how things are.
#[test]
fn no_frame_and_no_wake_is_lost() {
    check(|| {
        let mut world = World::new();
        let owner = Arc::new(Owner::default());
        let running = Arc::clone(&owner).run(Arc::clone(&world.outbox));
        world.send();
        world.broadcast();
        world.spawn(|outbox, _| outbox.flush());
        world.read();
        world.join();
        owner.rest();
        world.verify();
        owner.change(|state| state.over = true);
        let seen = running.join().unwrap();
        assert!(seen.stalled_since.is_none(), "{seen:?}");
    });
}

/// A closed outbox settles, whoever was at it, and nobody waits for it for ever.
#[test]
fn a_close_counts_every_frame() {
    check(|| {
        let mut world = World::new();
        world.send();
        world.broadcast();
        world.read();
        world.spawn(|outbox, _| {
            turns(outbox);
            outbox.close(DropReason::Shutdown);
            block_on(poll_fn(|cx| outbox.poll_settled(cx)));
        });
        world.join();
        world.verify();
    });
}

/// What was accepted before the seal is written, and then the stream's end.
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

/// A few turns of the owner, before its end begins.
fn turns(outbox: &Outbox) {
    for _ in 0..random(0, 2) {
        turn(outbox, &mut Context::from_waker(Waker::noop()));
        thread::yield_now();
    }
}
