//! Servers that are programs of their own, from the system's packages.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use veltix_stage::program::find;

/// A program that is started when it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    NatsServer,
    RedisServer,
}

impl Program {
    /// Its name, and that of its package in Debian.
    const fn name(self) -> &'static str {
        match self {
            Self::NatsServer => "nats-server",
            Self::RedisServer => "redis-server",
        }
    }

    /// The program and its arguments, so that it listens on this port and writes nothing to disk.
    ///
    /// # Errors
    /// It is not installed.
    pub(crate) fn command(self, port: u16) -> Result<Vec<String>> {
        let program = find(self.name())
            .with_context(|| format!("{0} is not installed (package {0})", self.name()))?;
        let arguments = match self {
            Self::NatsServer => format!("-a 127.0.0.1 -p {port}"),
            // Without limits on what waits for a subscriber, or it would be disconnected in the
            // middle of a measurement.
            Self::RedisServer => format!(
                "--bind 127.0.0.1 --port {port} --save \"\" --appendonly no --maxclients 20000 \
                 --tcp-backlog 4096 --client-output-buffer-limit pubsub 0 0 0"
            ),
        };
        let mut command = vec![program];
        command.extend(arguments.split(' ').map(|word| word.trim_matches('"').to_owned()));
        Ok(command)
    }
}

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
