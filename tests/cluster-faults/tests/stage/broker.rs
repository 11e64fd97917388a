//! [`Broker`]: a NATS server of a test, on a free port.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{ports, soon};
use crate::skipped::skip;

/// A running NATS server. It ends with this value.
pub(crate) struct Broker {
    port: u16,
    monitor: u16,
    directory: PathBuf,
    process: Option<Child>,
}

impl Broker {
    /// Returns a server that does not run yet, or `None` with a visible line if the program is missing.
    pub(crate) fn prepare(test: &str, config: &str) -> Option<Self> {
        let is_there = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status();
        if is_there.is_err() {
            skip(test, "there is no nats-server (Debian: nats-server)");
            return None;
        }
        let (port, monitor) = (ports::free(), ports::free());
        let name = format!("veltix-faults-{}-{port}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let broker = Self { port, monitor, directory, process: None };
        broker.configure(config);
        Some(broker)
    }

    pub(crate) async fn start(test: &str, config: &str) -> Option<Self> {
        let mut broker = Self::prepare(test, config)?;
        broker.restart().await;
        Some(broker)
    }

    /// Writes the configuration for the next start.
    pub(crate) fn configure(&self, config: &str) {
        let config = format!("write_deadline: \"2s\"\n{config}");
        fs::write(self.directory.join("nats.conf"), config).unwrap();
    }

    /// Starts the server, and waits until it listens.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let process = Command::new("nats-server")
            .args(["-p", &self.port.to_string(), "-m", &self.monitor.to_string()])
            .args(["-a", "0.0.0.0"])
            .arg("-c")
            .arg(self.directory.join("nats.conf"))
            .arg("-l")
            .arg(self.directory.join("nats.log"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        soon(async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Ends the server at once.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of lines of the log with this text.
    pub(crate) fn logged(&self, text: &str) -> usize {
        let log = fs::read_to_string(self.directory.join("nats.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(text)).count()
    }

    /// Returns the connections of nodes, as the server tells them, with their subscriptions.
    pub(crate) async fn connections(&self) -> Vec<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.monitor)).await.unwrap();
        stream.write_all(b"GET /connz?subs=1 HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("it has a head");
        let answer: Value = serde_json::from_str(body).unwrap();
        answer["connections"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
