//! [`Shared`]: the queues between a connection's task and the thread of its handlers.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use tokio::sync::oneshot;
use veltix_core::Message;
use veltix_core::limits::{INBOX_BYTES, INBOX_MESSAGES};

use crate::close::Disconnected;
use crate::flush::PublishedApart;
use crate::handlers::{Cancelled, Origin, charge};
use crate::router::{Outcome, RouteId};
use crate::session::Session;
use crate::sync::{Mutex, drop_caught};

/// Work for the thread.
pub(super) enum Job {
    /// `on_connect`.
    Connect,
    Message {
        route: RouteId,
        message: Message,
    },
    /// `on_disconnect`.
    Disconnect {
        outcome: Box<Disconnected>,
        done: oneshot::Sender<Outcome>,
    },
}

/// The results of a thread since the last look.
pub(crate) struct News {
    /// A call that has ended, with a reply or a failure.
    pub(crate) ended: Option<(Origin, Outcome)>,
    /// The number of messages whose handlers have sent no reply.
    pub(crate) silent: u64,
    /// The bytes that handlers have published.
    pub(crate) published: PublishedApart,
    /// True if the thread has ended by a panic of the library.
    pub(crate) died: bool,
}

/// The next work of the thread.
pub(super) enum Next {
    Job(Job),
    /// The calls of earlier rounds are to be dropped.
    Cancelled,
    /// There is none at the moment.
    Wait,
    /// There will be none.
    Closed,
}

pub(super) struct Shared {
    session: Arc<Session>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Messages among the jobs.
    waiting: usize,
    /// Bytes of the waiting messages, each with its overhead.
    charge: usize,
    /// Calls that have ended, with a reply or a failure, until the task takes them.
    ended: VecDeque<(Origin, Outcome)>,
    /// Bytes of the replies in `ended`.
    ended_bytes: usize,
    /// Messages whose handlers have ended without a reply.
    silent: u64,
    published: PublishedApart,
    /// Running calls, and those of them that handle a message.
    running: u64,
    running_messages: u64,
    /// The number of cancellations. The outcome of a call of an earlier round is discarded.
    round: u32,
    /// The cancellations that the thread has followed. A thread that a handler blocks follows none.
    followed: u32,
    /// `on_connect` runs, or has ended and the task has not admitted or refused the peer yet. No message is
    /// handled meanwhile.
    is_connecting: bool,
    /// The thread has found no job that may start.
    thread_waits: bool,
    /// The thread is in a turn, in which a handler may block it. Between turns it is parked.
    in_turn: bool,
    /// The task has found no room for a message, and is woken when half of the room is free.
    task_waits: Option<(usize, usize)>,
    closed: bool,
    died: bool,
}

impl State {
    /// Returns whether the outcomes that wait for the task are as many as the inbox holds messages. The
    /// thread pauses then, since a peer that does not read would leave more and more replies here.
    fn is_full(&self) -> bool {
        self.ended.len() >= INBOX_MESSAGES || self.ended_bytes >= INBOX_BYTES
    }

    fn has_news(&self) -> bool {
        self.silent > 0 || !self.ended.is_empty() || self.published.is_charged()
    }

    /// Takes the jobs that wait, with the number of messages among them.
    fn take_jobs(&mut self) -> (VecDeque<Job>, u64) {
        self.charge = 0;
        (mem::take(&mut self.jobs), mem::take(&mut self.waiting) as u64)
    }
}

fn reply_bytes(outcome: &Outcome) -> usize {
    if let Outcome::Reply(reply) = outcome { reply.body().len() } else { 0 }
}

/// The task's side.
impl Shared {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, state: Mutex::default() }
    }

    /// Queues a job.
    pub(super) fn push(&self, job: Job) {
        let mut state = self.state.lock();
        if let Job::Message { message, .. } = &job {
            state.waiting += 1;
            state.charge += charge(message);
        }
        state.jobs.push_back(job);
    }

    /// Returns whether the thread waits although there are jobs that may start. It counts as resumed then.
    pub(super) fn must_resume(&self) -> bool {
        let mut state = self.state.lock();
        !state.jobs.is_empty() && !state.is_connecting && mem::take(&mut state.thread_waits)
    }

    /// Lets messages be handled, since the task has completed `on_connect`.
    pub(super) fn end_connecting(&self) {
        self.state.lock().is_connecting = false;
    }

    /// Takes what has happened since the last call. The second value tells whether the thread was paused.
    pub(super) fn take_news(&self) -> (News, bool) {
        let mut state = self.state.lock();
        let was_full = state.is_full();
        let ended = state.ended.pop_front();
        if let Some((_, outcome)) = &ended {
            state.ended_bytes -= reply_bytes(outcome);
        }
        if state.ended.is_empty() {
            state.ended = VecDeque::new();
        }
        let silent = mem::take(&mut state.silent);
        let published = mem::take(&mut state.published);
        (News { ended, silent, published, died: state.died }, was_full)
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.jobs.is_empty() && state.running == 0 && !state.has_news()
    }

    pub(super) fn is_busy(&self) -> bool {
        let state = self.state.lock();
        state.in_turn && (state.running > 0 || state.followed != state.round)
    }

    pub(super) fn charge(&self) -> usize {
        self.state.lock().charge
    }

    pub(super) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        let mut state = self.state.lock();
        let has_room = state.waiting < messages && state.charge < bytes;
        if !has_room {
            state.task_waits = Some((messages / 2, bytes / 2));
        }
        has_room
    }

    pub(super) fn discard_waiting(&self) -> u64 {
        let (jobs, messages) = self.state.lock().take_jobs();
        drop(jobs);
        messages
    }

    pub(super) fn cancel(&self) -> Cancelled {
        let mut state = self.state.lock();
        // Without a call there is nothing to follow.
        let nothing_runs = state.running == 0 && state.followed == state.round;
        state.round += 1;
        if nothing_runs {
            state.followed = state.round;
        }
        let handlers = mem::take(&mut state.running);
        let running = mem::take(&mut state.running_messages);
        // Under the same lock: the thread follows the cancellation and starts no message that waited.
        let (jobs, waiting) = state.take_jobs();
        state.is_connecting = false;
        drop(state);
        drop(jobs);
        Cancelled { handlers, messages: waiting + running, replies: Vec::new() }
    }

    pub(super) fn close(&self) {
        let ended = {
            let mut state = self.state.lock();
            state.closed = true;
            state.round += 1;
            mem::take(&mut state.ended)
        };
        drop_caught(ended);
    }
}

/// The thread's side.
impl Shared {
    /// Returns the next job that may start now, unless a cancellation has followed this round.
    pub(super) fn next(&self, round: u32, may_start: impl FnOnce(Option<RouteId>) -> bool) -> Next {
        let mut state = self.state.lock();
        if state.round != round {
            return Next::Cancelled;
        }
        state.in_turn = false;
        let route = match state.jobs.front() {
            None if state.closed => return Next::Closed,
            None => None,
            Some(Job::Message { route, .. }) => Some(*route),
            Some(_) => None,
        };
        let may_run = !state.is_connecting && !state.is_full();
        let starts = !state.jobs.is_empty() && may_run && may_start(route);
        state.thread_waits = !starts;
        if !starts {
            return Next::Wait;
        }
        let Some(job) = state.jobs.pop_front() else { return Next::Wait };
        state.in_turn = true;
        state.running += 1;
        match &job {
            Job::Connect => state.is_connecting = true,
            Job::Message { message, .. } => {
                state.running_messages += 1;
                state.waiting -= 1;
                state.charge -= charge(message);
            }
            Job::Disconnect { .. } => {}
        }
        if state.jobs.is_empty() {
            state.jobs = VecDeque::new();
        }
        let has_room = state
            .task_waits
            .is_some_and(|(messages, bytes)| state.waiting <= messages && state.charge <= bytes);
        if has_room {
            state.task_waits = None;
        }
        drop(state);
        if has_room {
            self.session.outbox().wake_owner();
        }
        Next::Job(job)
    }

    /// Begins a turn, or goes on with one. Returns the number of cancellations. The thread has dropped, or
    /// drops now, the calls of earlier rounds.
    pub(super) fn follow(&self) -> u32 {
        let mut state = self.state.lock();
        state.in_turn = true;
        state.followed = state.round;
        state.round
    }

    /// Records the end of a call that began in this round, and wakes the task for it.
    pub(super) fn complete(
        &self,
        round: u32,
        origin: Option<Origin>,
        outcome: Outcome,
        published: PublishedApart,
    ) {
        let mut state = self.state.lock();
        if state.round != round {
            drop(state);
            return drop_caught(outcome);
        }
        let had_news = state.has_news();
        state.published += published;
        state.running -= 1;
        match (origin, outcome) {
            (None, _) => {}
            (Some(Origin::Message { .. }), Outcome::Silent) => {
                state.running_messages -= 1;
                state.silent += 1;
            }
            (Some(origin), outcome) => {
                state.running_messages -= u64::from(matches!(origin, Origin::Message { .. }));
                state.ended_bytes += reply_bytes(&outcome);
                state.ended.push_back((origin, outcome));
            }
        }
        drop(state);
        if !had_news {
            self.session.outbox().wake_owner();
        }
    }

    /// Records what calls of this round have published that go on, and wakes the task for it.
    pub(super) fn publish(&self, round: u32, published: PublishedApart) {
        let had_news = {
            let mut state = self.state.lock();
            if state.round != round {
                return;
            }
            let had_news = state.has_news();
            state.published += published;
            had_news
        };
        if !had_news {
            self.session.outbox().wake_owner();
        }
    }

    /// Returns a guard that reports the end of the thread.
    pub(super) fn exit(self: &Arc<Self>) -> impl Drop + use<> {
        struct Exit(Arc<Shared>);
        impl Drop for Exit {
            fn drop(&mut self) {
                let died = {
                    let mut state = self.0.state.lock();
                    state.died = !state.closed;
                    state.died
                };
                if died {
                    self.0.session.outbox().wake_owner();
                }
            }
        }
        Exit(Arc::clone(self))
    }
}
