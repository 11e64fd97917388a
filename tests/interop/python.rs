//! Python peers: the script `python/peer.py` as a child process, controlled by JSON lines.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::process::{PATIENCE, Process};
use super::{env, lab};

/// A kind of Python peer: the version of the package and its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) version: &'static str,
    pub(crate) core: Core,
}

/// The backends of the package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    Async,
    Threading,
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Async => "async",
            Self::Threading => "threading",
        })
    }
}

impl Kind {
    /// Reports whether this is the default backend of 2.0.3 or 3.0.2, which damages bodies that do
    /// not fit the kernel's buffer.
    pub(crate) fn damages_large_bodies(self) -> bool {
        self.core == Core::Async && self.version != "3.3.0"
    }

    /// Returns the number of short messages that it may send at once, so that they fit the kernel's
    /// buffers even if the other side does not read for a while.
    pub(crate) fn burst(self) -> usize {
        if self.damages_large_bodies() { 100 } else { 2000 }
    }

    /// Starts a client of this kind that connects to a port of this machine.
    pub(crate) fn client(self, port: u16, options: &[&str]) -> Python {
        self.start("client", port, options)
    }

    /// Starts a client and waits until it is connected.
    pub(crate) async fn connected(self, port: u16) -> Python {
        let mut client = self.client(port, &[]);
        client.event("connected").await;
        client
    }

    /// Starts a server of this kind. Returns it with its port.
    pub(crate) async fn server(self, port: u16, options: &[&str]) -> (Python, u16) {
        let mut server = self.start("server", port, options);
        let listening = server.event("listening").await;
        let port = listening["port"].as_u64().and_then(|port| port.try_into().ok());
        (server, port.expect("a port"))
    }

    fn start(self, role: &str, port: u16, options: &[&str]) -> Python {
        let mut command = self.script("peer.py");
        command.arg(role).args(["--port", &port.to_string()]).args(options);
        Python { process: Process::start(format!("the {role} of {self}"), command) }
    }

    /// Runs the script `many.py` and returns its report.
    pub(crate) async fn many(self, port: u16, code: u16) -> Value {
        let mut command = self.script("many.py");
        command.args(["--port", &port.to_string(), "--code", &code.to_string()]);
        let mut many = Process::start(format!("many.py of {self}"), command);
        let limit = Duration::from_secs(60);
        many.find_within(limit, "a report", |line| serde_json::from_str(line).ok()).await
    }

    fn script(self, name: &str) -> Command {
        let python = env::python(self.version).expect("`run` has looked");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/python");
        let mut command = Command::new(python);
        command.arg("-B").arg(scripts.join(name)).args(["--core", &self.core.to_string()]);
        command
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.core)
    }
}

/// A running `peer.py`.
pub(crate) struct Python {
    pub(crate) process: Process,
}

impl Python {
    /// Waits for an event of this name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        self.event_with(name, json!({})).await
    }

    /// Waits for an event that also has these keys.
    pub(crate) async fn event_with(&mut self, name: &str, keys: Value) -> Value {
        let what = format!("the event {name:?} with {keys}");
        self.process.find(&what, |line| with(line, "event", name, &keys)).await
    }

    /// Waits for a message.
    pub(crate) async fn message(&mut self, code: u16) -> Value {
        self.event_with("message", json!({ "code": code })).await
    }

    /// Waits for a `say` with this body.
    pub(crate) async fn hears(&mut self, from: &str, text: &str) {
        let expected = json!({ "from": from, "text": text });
        self.process
            .find(&format!("say {expected}"), |line| {
                let message = with(line, "event", "message", &json!({ "code": lab::SAY.code() }))?;
                let body: Value = serde_json::from_str(message["text"].as_str()?).ok()?;
                (body == expected).then_some(())
            })
            .await;
    }

    /// Fails if a message of this code has arrived that no call has consumed.
    pub(crate) fn heard_none(&mut self, code: u16) {
        let keys = json!({ "code": code });
        self.process.said_nothing("a message for another peer", |line| {
            with(line, "event", "message", &keys).is_some()
        });
    }

    /// Sends a command. Returns its answer, which may be a failure.
    pub(crate) async fn try_tell(&mut self, command: Value) -> Value {
        self.begin(&command).await;
        self.answer(&command).await
    }

    /// Sends a command that must succeed.
    pub(crate) async fn tell(&mut self, command: Value) -> Value {
        let answer = self.try_tell(command.clone()).await;
        if answer["ok"] != true {
            self.process.fail(&format!("could not do {command}: {answer}"));
        }
        answer
    }

    /// Sends a command without waiting for its answer.
    pub(crate) async fn begin(&mut self, command: &Value) {
        self.process.write(&command.to_string()).await;
    }

    /// Returns the answer to a command that was sent.
    pub(crate) async fn answer(&mut self, command: &Value) -> Value {
        let what = format!("the answer to {command}");
        let name = command["do"].as_str().expect("a command says what to do");
        // A command may itself wait for up to the limit of a test's event.
        let limit = 2 * PATIENCE;
        self.process.find_within(limit, &what, |line| with(line, "done", name, &json!({}))).await
    }

    /// Calls the other side, which must answer with this text.
    pub(crate) async fn asks(&mut self, command: Value, expected: &str) {
        let answer = self.tell(command.clone()).await;
        let (code, text) = (&answer["reply"]["code"], &answer["reply"]["text"]);
        if *code != command["code"] || text != expected {
            self.process.fail(&format!("received a wrong answer: {command} returned {answer}"));
        }
    }
}

/// Parses a line, if it is an object with this name and these keys.
fn with(line: &str, kind: &str, name: &str, keys: &Value) -> Option<Value> {
    let object: Value = serde_json::from_str(line).ok()?;
    let has = |(key, value): (&String, &Value)| object.get(key) == Some(value);
    let matches = object[kind] == name && keys.as_object()?.iter().all(has);
    matches.then_some(object)
}
