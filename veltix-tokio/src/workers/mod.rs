//! [`Workers`]: the pool of named threads for blocking handlers.

mod handler_threads;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Handle;
use tokio::time::Instant;

pub(crate) use handler_threads::HandlerThreads;

use crate::log::{RateLimitedLog, log_limited};

/// A handler's call that can run on any thread. It does not panic: the panic of a handler is caught
/// inside it.
type Job = Box<dyn FnOnce() + Send>;

/// The pool of threads that run blocking handlers. The threads are started when first needed, and
/// end with the pool.
///
/// The queue is bounded by its producers: each connection has at most [`Workers::per_peer`] calls
/// that wait or run here. [`Peer::threads`](crate::Peer) enforces this limit.
#[derive(Debug)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
    max: usize,
    /// Threads that could not be started. Each message for them tries again.
    log: RateLimitedLog,
}

#[derive(Debug, Default)]
struct Shared {
    /// The lock is the standard library's, since the condition variable needs it.
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    ended: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("jobs", &self.jobs.len())
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Workers {
    pub(crate) fn new(max: usize) -> Self {
        Self { shared: Arc::default(), max: max.max(1), log: RateLimitedLog::new() }
    }

    /// Returns the number of threads that one peer may use: all but one, so that it cannot block
    /// the other peers alone.
    pub(crate) const fn per_peer(&self) -> usize {
        if self.max > 1 { self.max - 1 } else { 1 }
    }

    /// Runs a job on a thread of the pool as soon as one is free.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        #[cfg(feature = "testing")]
        let job = clock_hold::during(job);
        let start = {
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.jobs.push_back(Box::new(job));
            let start = state.idle < state.jobs.len() && state.threads < self.max;
            if start {
                state.threads += 1;
            }
            start.then_some(state.threads)
        };
        match start {
            None => self.shared.work.notify_one(),
            Some(number) => self.start(number),
        }
    }

    fn start(&self, number: usize) {
        let shared = Arc::clone(&self.shared);
        // The first message of a connection starts the thread, so this is inside a runtime. Code in a
        // handler may spawn tasks and create timers there, as anywhere else.
        let runtime = Handle::try_current();
        let thread =
            thread::Builder::new().name(format!("veltix-worker-{number}")).spawn(move || {
                let _inside = runtime.as_ref().map(Handle::enter);
                shared.work();
            });
        if let Err(error) = thread {
            log_limited!(
                error,
                self.log.decide(Instant::now()),
                %error,
                "a thread for blocking handlers could not be started: check the limits of threads and memory"
            );
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.threads -= 1;
            // Another thread runs the job. If there is none, the job is dropped, which fails its
            // handler.
            let lost =
                if state.threads == 0 { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
            drop(state);
            drop(lost);
            self.shared.work.notify_one();
        }
    }
}

/// A test's clock must not advance while a blocking handler waits or runs: the test's runtime does
/// not see the thread of this pool, and would consider itself idle.
#[cfg(feature = "testing")]
pub(crate) mod clock_hold {
    use std::any::Any;
    use std::cell::Cell;

    /// A function that stops the clock until its returned value is dropped.
    pub(crate) type Hook = fn() -> Box<dyn Any + Send>;

    thread_local! {
        static HOOK: Cell<Option<Hook>> = const { Cell::new(None) };
    }

    /// Installs the hook for jobs that this thread passes to a pool.
    pub(crate) fn install(hook: Hook) {
        HOOK.set(Some(hook));
    }

    /// Returns the job, which stops the clock from now on until the job has ended or is dropped.
    pub(super) fn during(job: impl FnOnce() + Send) -> impl FnOnce() + Send {
        let hold = HOOK.get().map(|hook| hook());
        move || {
            job();
            drop(hold);
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            } else if state.ended {
                return;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.shared.work.notify_all();
    }
}
