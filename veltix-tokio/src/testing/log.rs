//! [`Log`]: the events of a server or client in a test, and the failures of its handlers.

use std::fmt::Write;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::Notify;
use tokio::task::unconstrained;
use tokio::time::timeout;

use crate::hub::{Event, EventStream};
use crate::sync::Mutex;

/// The time limit of an expectation. It is shorter than a heartbeat's interval, so that the
/// connections of a failing test stay open.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The events that a server or client has emitted since it was started.
#[derive(Clone)]
pub(super) struct Log(Arc<Shared>);

struct Shared {
    /// The server, or the name of the client.
    owner: String,
    recorded: Mutex<Recorded>,
    /// Notified of recorded events.
    changed: Notify,
}

struct Recorded {
    events: EventStream,
    /// One line for each event, oldest first.
    lines: Vec<String>,
    /// Failures of handlers that no expectation has taken.
    failures: Vec<String>,
    are_failures_allowed: bool,
    /// Wakes the task that records.
    waker: Option<Waker>,
}

impl Log {
    /// Records these events. A task reads them, since more events than the stream holds would be
    /// lost.
    pub(super) fn start(owner: impl Into<String>, events: EventStream) -> Self {
        let recorded = Recorded {
            events,
            lines: Vec::new(),
            failures: Vec::new(),
            are_failures_allowed: false,
            waker: None,
        };
        let recorded = Mutex::new(recorded);
        let log = Self(Arc::new(Shared { owner: owner.into(), recorded, changed: Notify::new() }));
        let shared = Arc::clone(&log.0);
        tokio::spawn(unconstrained(poll_fn(move |cx| {
            shared.recorded.lock().waker = Some(cx.waker().clone());
            shared.poll(cx)
        })));
        log
    }

    /// Records the events until now.
    fn update(&self) {
        let _ = self.0.poll(&mut Context::from_waker(Waker::noop()));
        // The stream has forgotten the waker of the task, which polls it again.
        let waker = self.0.recorded.lock().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Returns one line for each event, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.update();
        self.0.recorded.lock().lines.clone()
    }

    /// Lets handlers fail from now on, and forgets earlier failures.
    pub(super) fn allow_failures(&self) {
        self.update();
        let mut recorded = self.0.recorded.lock();
        recorded.are_failures_allowed = true;
        recorded.failures.clear();
    }

    /// Waits for a failure whose line contains this text, and takes it. Returns the lines of the other
    /// failures if none comes.
    pub(super) async fn take_failure(&self, text: &str) -> Result<String, String> {
        let taken = timeout(PATIENCE, async {
            loop {
                let changed = self.0.changed.notified();
                self.update();
                let taken = {
                    let failures = &mut self.0.recorded.lock().failures;
                    let found = failures.iter().position(|line| line.contains(text));
                    found.map(|index| failures.remove(index))
                };
                match taken {
                    Some(line) => return line,
                    None => changed.await,
                }
            }
        });
        taken.await.map_err(|_| list(&self.0.recorded.lock().failures))
    }

    /// Fails the test if a handler has failed that no expectation names.
    ///
    /// # Panics
    /// Panics in that case, unless the test panics already.
    pub(super) fn check(&self) {
        if thread::panicking() {
            return;
        }
        self.update();
        let failures = std::mem::take(&mut self.0.recorded.lock().failures);
        assert!(
            failures.is_empty(),
            "a handler of {} failed:{}\nif the test means that, call `expect_failure` or `allow_failures`",
            self.0.owner,
            list(&failures)
        );
    }
}

impl Shared {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let (poll, has_more) = {
            let mut recorded = self.recorded.lock();
            let before = recorded.lines.len();
            (recorded.poll(cx), recorded.lines.len() > before)
        };
        if has_more {
            self.changed.notify_waiters();
        }
        poll
    }
}

impl Recorded {
    /// Records all events of the stream. Ready at its end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(event) = self.events.poll_next_unpin(cx) {
            let Some(event) = event else { return Poll::Ready(()) };
            let line = line(&event);
            let is_failure =
                matches!(event, Event::HandlerFailed { .. } | Event::HandlerPanicked { .. });
            if is_failure && !self.are_failures_allowed {
                self.failures.push(line.clone());
            }
            self.lines.push(line);
        }
        Poll::Pending
    }
}

fn list(lines: &[String]) -> String {
    let mut list = String::new();
    for line in lines {
        // Writing to a string cannot fail.
        let _ = write!(list, "\n  {line}");
    }
    list
}

/// Returns the line of an event. Its texts are escaped, so quotes need no escape of their own.
fn line(event: &Event) -> String {
    let plain = |text: &str| text.replace("\\\"", "\"").replace("\\'", "'");
    match event {
        Event::Connected { peer } => format!("{peer} connected"),
        Event::Refused { peer, reason } => format!("on_connect refused {peer}: {}", plain(reason)),
        Event::Disconnected { peer, outcome } => format!("{peer} disconnected: {}", outcome.reason),
        Event::Rejected { peer, code, reason } => {
            format!("a body of code {code} from {peer} was rejected: {}", plain(reason))
        }
        Event::HandlerFailed { peer, code, error } => {
            format!("the handler of code {code} failed for {peer}: {}", plain(error))
        }
        Event::HandlerPanicked { peer, code, message } => {
            format!("the handler of code {code} panicked for {peer}: {}", plain(message))
        }
        Event::UnknownCode { peer, code } => format!("no route takes code {code} of {peer}"),
        other => format!("{other:?}"),
    }
}
