//! The broker of a cluster: a server of the system's packages, and the figures that it gives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use veltix_stage::program;

use crate::process::ServerProcess;
use crate::program::{Program, free_port};
use crate::results::median;

/// The silence after which the broker has failed.
const SILENCE: Duration = Duration::from_secs(5);

/// The round trips of which the median is taken, and those before them.
const ROUND_TRIPS: usize = 300;
const WARM_UP: usize = 30;

/// The largest answer of the broker's monitoring port.
const ANSWER: u64 = 1 << 20;

/// A broker in a process of its own, which is killed when this handle is dropped.
#[derive(Debug)]
pub(super) struct Broker {
    process: ServerProcess,
    scheme: &'static str,
    /// The address of the monitoring port.
    monitor: Option<SocketAddr>,
}

/// A connection of the broker.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Connection {
    /// The broker's number of it. They grow.
    pub(super) cid: u64,
    /// The bytes of all messages that the broker has sent on it.
    pub(super) out_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Connections {
    connections: Vec<Connection>,
}

impl Broker {
    /// Starts `nats-server` with its monitoring port.
    ///
    /// # Errors
    /// It is not installed, or it does not start.
    pub(super) fn nats() -> Result<Self> {
        let (port, monitor) = (free_port()?, free_port()?);
        let mut command = Program::NatsServer.command(port)?;
        command.extend(["-m".to_owned(), monitor.to_string()]);
        let process = ServerProcess::listening_on(port, &command, None)?;
        let monitor = Some(SocketAddr::from(([127, 0, 0, 1], monitor)));
        Ok(Self { process, scheme: "nats", monitor })
    }

    /// Starts `redis-server`.
    ///
    /// # Errors
    /// It is not installed, or it does not start.
    pub(super) fn redis() -> Result<Self> {
        let port = free_port()?;
        let command = Program::RedisServer.command(port)?;
        let process = ServerProcess::listening_on(port, &command, None)?;
        Ok(Self { process, scheme: "redis", monitor: None })
    }

    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.process.addr())
    }

    /// Returns the connections, the oldest one first.
    ///
    /// # Errors
    /// The broker has no monitoring port, or does not answer on it.
    pub(super) fn connections(&self) -> Result<Vec<Connection>> {
        let monitor = self.monitor.context("this broker does not count bytes")?;
        let mut stream = TcpStream::connect_timeout(&monitor, SILENCE)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(b"GET /connz?sort=cid HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(ANSWER).read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the broker's answer has no body")?;
        let Connections { mut connections } = serde_json::from_str(body)?;
        connections.sort_by_key(|connection| connection.cid);
        Ok(connections)
    }

    /// Returns the median time in microseconds of a ping of `nats-server` and its answer.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(super) fn round_trip(&self) -> Result<f64> {
        let mut stream = TcpStream::connect_timeout(&self.process.addr(), SILENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut lines = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        ensure!(line.starts_with("INFO "), "the broker greets with {line:?}");
        stream.write_all(b"CONNECT {\"verbose\":false}\r\n")?;
        let mut times = Vec::new();
        for number in 0..WARM_UP + ROUND_TRIPS {
            let start = Instant::now();
            stream.write_all(b"PING\r\n")?;
            // The broker also pings by itself, once after the first ping of a connection.
            loop {
                line.clear();
                ensure!(lines.read_line(&mut line)? > 0, "the broker ended the connection");
                match line.trim_end() {
                    "PONG" => break,
                    "PING" => stream.write_all(b"PONG\r\n")?,
                    other => anyhow::bail!("the broker answers a ping with {other:?}"),
                }
            }
            if number >= WARM_UP {
                times.push(start.elapsed().as_nanos() as f64 / 1e3);
            }
        }
        median(&times).context("there are round trips")
    }
}

/// Returns the reason why there can be no cluster here, or `None` if there can be one.
pub(super) fn missing() -> Option<&'static str> {
    let found = program::find("nats-server").is_some();
    (!found).then_some("there is no nats-server (package nats-server)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connections_are_read_from_what_the_broker_answers() {
        let text = r#"{"num_connections": 2, "connections": [
            {"cid": 5, "ip": "127.0.0.1", "out_bytes": 7}, {"cid": 6, "out_bytes": 0}]}"#;
        let Connections { connections } = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(
            connections.iter().map(|one| (one.cid, one.out_bytes)).collect::<Vec<_>>(),
            [(5, 7), (6, 0)]
        );
    }
}
