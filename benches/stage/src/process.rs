//! Processes that end with their handle, and what a process can say and change about itself.

use std::process::{Child, Command};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, Signal};

/// A process that ends with this handle, by force if it has not ended by itself.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts the program of a command.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn();
        Ok(Self(child.with_context(|| format!("{:?}", command.get_program()))?))
    }

    /// The process, to talk with it and to see whether it has ended.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Bytes of memory that the process has resident.
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

/// A value in KiB out of `/proc/PID/status`.
///
/// # Errors
/// It is not there, or no number.
pub fn kib(status: &str, name: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.with_context(|| format!("the system does not say {name}"))
}

/// Lets this process have as many open files as the system allows it.
///
/// # Errors
/// The system refuses.
pub fn raise_file_limit() -> Result<()> {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    let all = Rlimit { current: maximum, maximum };
    rustix::process::setrlimit(Resource::Nofile, all).context("the limit of open files")
}

/// Lets this process have so many open files, and no more.
///
/// # Errors
/// The system refuses.
pub fn lower_file_limit(files: u64) -> Result<()> {
    let limit = Rlimit { current: Some(files), maximum: Some(files) };
    rustix::process::setrlimit(Resource::Nofile, limit).context("the limit of open files")
}

/// How many files this process may have open.
#[must_use]
pub fn file_limit() -> usize {
    let Rlimit { current, .. } = rustix::process::getrlimit(Resource::Nofile);
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Has the system end this process when the thread that started it ends.
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
