//! The server under test: a process of its own that answers requests.

mod child;
mod ledger;
mod router;
mod talk;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;
use veltix_stage::Running;

pub(crate) use self::child::serve;
pub(crate) use self::talk::{News, Question, Report, Setup, Shutdown};
use crate::accounts::Entry;
use crate::probe::Probe;

/// The time limit of an answer, which is longer than the drain.
const ANSWER: Duration = Duration::from_secs(30);

/// The number of log lines that are kept for error texts.
const LOG: usize = 20;

/// A server in a process of its own, which ends when this handle is dropped.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    running: Running,
    addr: SocketAddr,
    questions: ChildStdin,
    answers: mpsc::Receiver<String>,
    log: Arc<Log>,
}

/// The lines of its log.
#[derive(Debug, Default)]
struct Log {
    last: Mutex<VecDeque<String>>,
    unaccepted: AtomicUsize,
}

impl Log {
    fn take(&self, line: String) {
        if line.contains("a connection could not be accepted") {
            self.unaccepted.fetch_add(1, Ordering::AcqRel);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LOG {
            last.pop_front();
        }
        last.push_back(line);
    }
}

impl ServerProcess {
    /// Starts a server and waits until it listens. The command starts this program, directly or by
    /// another program that becomes this one.
    pub(crate) async fn start(mut command: Command, setup: &Setup) -> Result<Self> {
        command.args(["serve", &serde_json::to_string(setup)?]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command)?;
        let child = running.child();
        let questions = child.stdin.take().context("its input is piped")?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let stderr = child.stderr.take().context("its log is piped")?;
        // Only one request waits for its answer at a time, so the channel is never full.
        let (sender, answers) = mpsc::channel(2);
        on_lines(stdout, move |line| drop(sender.blocking_send(line)));
        let log = Arc::<Log>::default();
        let writes = Arc::clone(&log);
        on_lines(stderr, move |line| writes.take(line));
        let addr = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { running, addr, questions, answers, log };
        let line = server.hear().await?;
        server.addr =
            line.parse().with_context(|| format!("it printed {line:?} in place of its address"))?;
        Ok(server)
    }

    /// Returns the address of the server.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the probe of its process.
    pub(crate) fn probe(&mut self) -> Probe {
        Probe(self.running.child().id())
    }

    /// Returns the number of log lines about connections that could not be accepted.
    pub(crate) fn unaccepted(&self) -> usize {
        self.log.unaccepted.load(Ordering::Acquire)
    }

    pub(crate) async fn report(&mut self) -> Result<Report> {
        self.ask(&Question::Report).await
    }

    /// Returns the entries of the connections that ended since the last call.
    pub(crate) async fn ended(&mut self) -> Result<Vec<Entry>> {
        self.ask(&Question::Ended).await
    }

    /// Returns the entries of the connections that live.
    pub(crate) async fn living(&mut self) -> Result<Vec<Entry>> {
        self.ask(&Question::Living).await
    }

    /// Starts publishing.
    pub(crate) async fn publish(&mut self, news: News) -> Result<()> {
        self.ask(&Question::Publish(news)).await
    }

    /// Stops publishing.
    pub(crate) async fn quiet(&mut self) -> Result<()> {
        self.ask(&Question::Quiet).await
    }

    pub(crate) async fn shutdown(&mut self) -> Result<Shutdown> {
        self.ask(&Question::Shutdown).await
    }

    /// Kills the server as a crash would, and waits for its end.
    pub(crate) fn kill(self) {
        drop(self.running);
    }

    async fn ask<T: DeserializeOwned>(&mut self, question: &Question) -> Result<T> {
        let mut line = serde_json::to_string(question)?;
        line.push('\n');
        if let Err(error) = self.questions.write_all(line.as_bytes()) {
            return Err(anyhow!("{error}").context(self.ended_early()));
        }
        Ok(serde_json::from_str(&self.hear().await?)?)
    }

    async fn hear(&mut self) -> Result<String> {
        let answer = timeout(ANSWER, self.answers.recv()).await;
        let answer = answer.context("the server does not answer")?;
        answer.with_context(|| self.ended_early())
    }

    /// Returns an error text for a server that has ended early.
    fn ended_early(&self) -> String {
        let last = self.log.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last: Vec<_> = last.iter().map(String::as_str).collect();
        format!("the server has ended; its last lines are:\n{}", last.join("\n"))
    }
}

/// Calls `take` with each line, on a thread that ends with the input.
fn on_lines(from: impl Read + Send + 'static, mut take: impl FnMut(String) + Send + 'static) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { return };
            take(line);
        }
    });
}
