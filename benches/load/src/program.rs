//! Servers that are programs of their own, from the system's packages.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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

/// Where a program is. Those of the system may be where only administrators look.
fn find(name: &str) -> Option<String> {
    find_in(name, &std::env::var_os("PATH").unwrap_or_default())
}

/// The same with another list of places than the environment's.
pub(crate) fn find_in(name: &str, path: &OsStr) -> Option<String> {
    let mut places: Vec<_> = std::env::split_paths(path).collect();
    places.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let mut files = places.iter().map(|place| place.join(name));
    files.find(|file| is_program(file))?.into_os_string().into_string().ok()
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
