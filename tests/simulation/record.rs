//! The events of a simulation in order: the trace that another run must repeat, and the violations.

use std::collections::VecDeque;
use std::fmt::{Arguments, Write};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The number of trace lines that a failure shows.
const SHOWN: usize = 60;

/// A clone is a handle of the same record.
#[derive(Clone)]
pub(super) struct Record(Arc<Inner>);

struct Inner {
    start: Instant,
    /// True if every line is printed at once, because one seed is replayed.
    is_verbose: bool,
    state: Mutex<State>,
}

struct State {
    hash: u64,
    line: String,
    last: VecDeque<String>,
    wrong: Vec<String>,
}

/// The result of a simulation.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The hash of the trace, which is the same for each run of a seed.
    pub(super) trace: u64,
    /// The violations of promises.
    pub(super) wrong: Vec<String>,
    /// The end of the trace.
    pub(super) last: VecDeque<String>,
}

impl Record {
    pub(super) fn new(is_verbose: bool) -> Self {
        let state = State {
            hash: 0xcbf2_9ce4_8422_2325,
            line: String::new(),
            last: VecDeque::new(),
            wrong: Vec::new(),
        };
        Self(Arc::new(Inner { start: Instant::now(), is_verbose, state: Mutex::new(state) }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nobody panics with it")
    }

    /// Appends a line to the trace.
    pub(super) fn note(&self, what: Arguments<'_>) {
        let now = self.now();
        let mut state = self.lock();
        let State { hash, line, last, .. } = &mut *state;
        line.clear();
        write!(line, "{now:>7} ms  {what}").expect("a string takes it");
        // FNV-1a: the standard library's hasher may change between versions.
        for byte in line.bytes() {
            *hash = (*hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.0.is_verbose {
            eprintln!("{line}");
        }
        if last.len() == SHOWN {
            last.pop_front();
        }
        last.push_back(line.clone());
    }

    /// Records a violation of a promise.
    pub(super) fn wrong(&self, what: Arguments<'_>) {
        self.note(format_args!("WRONG: {what}"));
        self.lock().wrong.push(what.to_string());
    }

    pub(super) fn verdict(&self) -> Verdict {
        let mut state = self.lock();
        Verdict {
            trace: state.hash,
            wrong: std::mem::take(&mut state.wrong),
            last: std::mem::take(&mut state.last),
        }
    }

    /// Returns the milliseconds since the beginning: the resolution of Tokio's timers.
    pub(super) fn now(&self) -> u64 {
        self.0.start.elapsed().as_millis() as u64
    }

    /// Returns the time after this many milliseconds.
    pub(super) fn later(&self, milliseconds: u64) -> Instant {
        self.0.start + Duration::from_millis(self.now() + milliseconds)
    }

    pub(super) async fn pause(&self, milliseconds: u64) {
        sleep_until(self.later(milliseconds)).await;
    }
}
