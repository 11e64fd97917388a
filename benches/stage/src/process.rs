//! Processes that end with their handle, and figures and limits of a process.

use std::process::{Child, Command};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, Signal};

/// A process that is killed when this handle is dropped, unless it has ended before.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts the program of a command.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn();
        Ok(Self(child.with_context(|| format!("{:?}", command.get_program()))?))
    }

    /// Returns the process, for its input, output and status.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Returns the resident memory of the process in bytes.
    ///
    /// # Errors
    /// The process has ended.
    pub fn resident(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        Ok(1024.0 * kib(&status.context("the server has ended")?, "VmRSS:")?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a value in KiB of `/proc/PID/status`.
///
/// # Errors
/// The value is missing or is not a number.
pub fn kib(status: &str, name: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.with_context(|| format!("the status of the process has no value {name}"))
}

/// Raises this process's limit of open files to the highest allowed value.
///
/// # Errors
/// The system refuses.
pub fn raise_file_limit() -> Result<()> {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    let all = Rlimit { current: maximum, maximum };
    rustix::process::setrlimit(Resource::Nofile, all).context("the limit of open files")
}

/// Limits the open files of this process to `files`.
///
/// # Errors
/// The system refuses.
pub fn lower_file_limit(files: u64) -> Result<()> {
    let limit = Rlimit { current: Some(files), maximum: Some(files) };
    rustix::process::setrlimit(Resource::Nofile, limit).context("the limit of open files")
}

/// Returns this process's limit of open files.
#[must_use]
pub fn file_limit() -> usize {
    let Rlimit { current, .. } = rustix::process::getrlimit(Resource::Nofile);
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Makes the system kill this process when the thread that started it ends.
///
/// # Errors
/// The system refuses.
pub fn end_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("a signal at the parent's end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_what_it_holds_and_ends_with_its_handle() {
        let mut running = Running::start(Command::new("sleep").arg("60")).expect("it is there");
        assert!(running.child().try_wait().expect("it is ours").is_none());
        assert!(running.resident().expect("it runs") > 0.0);
        let proc = format!("/proc/{}", running.child().id());
        drop(running);
        assert!(!std::path::Path::new(&proc).exists());
    }

    #[test]
    fn values_of_a_status_are_found_by_their_names() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(kib(status, "VmHWM:").expect("it is there"), 2048.0);
        assert!(kib(status, "VmSwap:").is_err());
        assert!(kib(status, "Name:").is_err());
    }
}
