//! A child process that communicates in lines and ends when its handle is dropped.

use std::collections::VecDeque;
use std::fmt::Write;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// The limit for each expected event. It is generous because a loaded machine is slow, but below
/// the 15 s of silence after which a heartbeat would wake a forgotten task.
pub(crate) const PATIENCE: Duration = Duration::from_secs(12);

/// The number of lines that a failure shows.
const SHOWN: usize = 20;

/// A child process, which is killed when the handle is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: mpsc::UnboundedReceiver<String>,
    /// The lines that no call has consumed yet.
    waiting: VecDeque<String>,
    /// The last lines of output, which failures show.
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts the process, with pipes for input and output.
    pub(crate) fn start(name: impl Into<String>, mut command: Command) -> Self {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let (lines, output) = mpsc::unbounded_channel();
        let said = Arc::default();
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        tokio::spawn(read(stdout, "", Arc::clone(&said), lines.clone()));
        tokio::spawn(read(stderr, "stderr: ", Arc::clone(&said), lines));
        let input = child.stdin.take();
        Self { name, child, input, output, waiting: VecDeque::new(), said }
    }

    /// Writes a line to the input of the process.
    pub(crate) async fn write(&mut self, line: &str) {
        let written = match &mut self.input {
            Some(input) => input.write_all(format!("{line}\n").as_bytes()).await,
            None => panic!("the input of {} is closed", self.name),
        };
        if let Err(error) = written {
            self.fail(&format!("does not read its input any more ({error})"));
        }
    }

    /// Ends the input of the process.
    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// Returns the first unconsumed line from which `pick` selects a value. Lines from stderr begin
    /// with `stderr: `.
    pub(crate) async fn find<T>(&mut self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        self.find_within(PATIENCE, what, pick).await
    }

    pub(crate) async fn find_within<T>(
        &mut self,
        limit: Duration,
        what: &str,
        pick: impl Fn(&str) -> Option<T>,
    ) -> T {
        let picked = self.waiting.iter().enumerate().find_map(|(at, line)| Some((at, pick(line)?)));
        if let Some((at, picked)) = picked {
            self.waiting.remove(at);
            return picked;
        }
        let deadline = Instant::now() + limit;
        loop {
            match timeout_at(deadline, self.output.recv()).await {
                Ok(Some(line)) => match pick(&line) {
                    Some(picked) => return picked,
                    None => self.waiting.push_back(line),
                },
                Ok(None) => self.fail(&format!("ended without: {what}")),
                Err(_) => self.fail(&format!("did not within {limit:?}: {what}")),
            }
        }
    }

    /// Waits for a line that is exactly this.
    pub(crate) async fn line(&mut self, expected: &str) {
        self.find(expected, |line| (line == expected).then_some(())).await;
    }

    /// Fails if one of the unconsumed lines so far is one of these.
    pub(crate) fn said_nothing(&mut self, what: &str, is_one: impl Fn(&str) -> bool) {
        while let Ok(line) = self.output.try_recv() {
            self.waiting.push_back(line);
        }
        if let Some(line) = self.waiting.iter().find(|line| is_one(line)) {
            self.fail(&format!("printed {line:?}, but should not have: {what}"));
        }
    }

    /// Waits until the process ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => self.fail("did not end"),
        }
    }

    /// Kills the process, so that it cannot close its connections.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Sends the signal of Ctrl-C.
    pub(crate) async fn interrupt(&mut self) {
        self.signal("-INT").await;
    }

    /// Sends the signal with which an orchestrator ends a process.
    pub(crate) async fn terminate(&mut self) -> Instant {
        self.signal("-TERM").await
    }

    /// Sends a signal, named as for `kill`. Returns the time at which it was sent, because starting
    /// `kill` takes time that the process does not use.
    pub(crate) async fn signal(&mut self, signal: &str) -> Instant {
        let id = self.child.id().expect("it runs");
        let told = Command::new("kill").args([signal, &id.to_string()]).status().await;
        assert!(told.expect("there is a `kill`").success());
        Instant::now()
    }

    /// Fails the test, and shows the last output of the process.
    pub(crate) fn fail(&self, what: &str) -> ! {
        let mut message = format!("{} {what}; its last output:", self.name);
        for line in self.said.lock().expect("no holder panics").iter() {
            let _ = write!(message, "\n    {line}");
        }
        panic!("{message}");
    }
}

async fn read(
    from: impl AsyncRead + Unpin,
    kind: &str,
    said: Arc<Mutex<VecDeque<String>>>,
    lines: mpsc::UnboundedSender<String>,
) {
    let started = Instant::now();
    let mut from = BufReader::new(from).lines();
    while let Ok(Some(line)) = from.next_line().await {
        let line = format!("{kind}{line}");
        {
            let mut said = said.lock().expect("no holder panics");
            if said.len() == SHOWN {
                said.pop_front();
            }
            let after = started.elapsed().as_secs_f64();
            said.push_back(format!("{after:8.3} s  {line}"));
        }
        // If no task reads any more, the pipe must not fill nevertheless.
        let _ = lines.send(line);
    }
}
