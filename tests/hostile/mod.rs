//! Input of attackers to a running server or client. A test is named after its row in the project's
//! list of threats. Attacks that concern only bytes are tested in `veltix-core/src/hostile`.

mod answers;
mod cancelled;
mod codes;
mod door;
mod drain;
mod exposed;
mod floods;
mod frames;
mod handlers;
mod handshakes;
mod honest;
mod log_floods;
mod logged;
mod lost;
mod memory;
pub(crate) mod memory_budget;
mod network;
pub(crate) mod publishing;
pub(crate) mod queues;
pub(crate) mod rates;
mod refusals;
mod requests;
mod resets;
#[cfg(unix)]
mod signals;
mod slow;
mod starved;
mod storm;
mod tags;
mod told;
mod trickle;

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Level};
use tracing_subscriber::fmt::MakeWriter;

/// The log output of this thread, as `tracing_subscriber` writes it by default, but without colors.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures all log output until the guard is dropped.
    pub(crate) fn begin() -> (Self, DefaultGuard) {
        // With only one subscriber, the first thread that reaches a callsite without it disables
        // that callsite for all threads.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(NoSubscriber::default()));
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// Captures the log output of all threads, in a process without other tests.
    fn everywhere() -> Self {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::INFO)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("this process is its own");
        log
    }

    /// Returns the captured lines that contain `about`.
    #[track_caller]
    pub(crate) fn lines(&self, about: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).expect("a log is text");
        text.lines().filter(|line| line.contains(about)).map(str::to_owned).collect()
    }

    /// Asserts that each event is one line of plain text with at most 256 characters, in addition
    /// to the subscriber's prefix: the time, the level, spans and the place. Returns the length of
    /// the longest line including the prefix.
    #[track_caller]
    fn check(&self) -> usize {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).expect("a log is text");
        assert!(text.is_empty() || text.ends_with('\n'));
        for line in text.split_terminator('\n') {
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(!line.contains(['\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}']), "{line:?}");
            // The prefix contains time, level and place. A line that a peer injects could not have
            // them.
            let (when, rest) = line.split_once(' ').unwrap_or_default();
            let (level, place) = rest.trim_start().split_once(' ').unwrap_or_default();
            let is_ours = place.starts_with("veltix_tokio::") || place.starts_with("message{");
            assert!(when.ends_with('Z') && when.len() == 27 && is_ours, "{line:?}");
            assert!(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level), "{line:?}");
            let (_, event) = place.split_once("veltix_tokio::").unwrap_or_default();
            let (_, event) = event.split_once(": ").unwrap_or_default();
            assert!(event.chars().count() <= 256, "{} characters: {event}", event.chars().count());
        }
        text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
