//! Servers that are programs of the system's packages.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use veltix_stage::program::find;

/// A program that takes part if it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    NatsServer,
    RedisServer,
}

impl Program {
    /// Returns the name of the program, which is also that of its package in Debian.
    const fn name(self) -> &'static str {
        match self {
            Self::NatsServer => "nats-server",
            Self::RedisServer => "redis-server",
        }
    }

    /// Returns the program and its arguments, so that it listens on this port and writes nothing to
    /// disk.
    ///
    /// # Errors
    /// The program is not installed.
    pub(crate) fn command(self, port: u16) -> Result<Vec<String>> {
        let program = find(self.name())
            .with_context(|| format!("{0} is not installed (package {0})", self.name()))?;
        let arguments = match self {
            Self::NatsServer => format!("-a 127.0.0.1 -p {port}"),
            // The queue of a subscriber has no limit. Otherwise the server would disconnect it in
            // the middle of a measurement.
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

/// Returns a port that is free at this moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
