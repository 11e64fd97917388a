//! A separate network that contains only a loopback device, with a rule that drops all packets. The
//! peers on it then disappear for each other, as at a loss of power.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use veltix_stage::program;

use crate::stage::Skipped;

/// The rule drops every packet without an answer.
const CUT: &str = "table inet cut {
  chain lose {
    type filter hook output priority 0;
    oifname \"lo\" drop;
  }
}
";

/// The start of the names, before the number of the process that made them.
const PREFIX: &str = "veltix-chaos-";

/// A network namespace, which is removed when this handle is dropped.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    ip: String,
    nft: String,
}

impl Namespace {
    /// Makes a network namespace.
    ///
    /// # Errors
    /// [`Skipped`] if the process lacks the right or the programs for it.
    pub(crate) fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let missing = |name: &str, package: &str| {
            Skipped(format!("{name} is not installed (package {package})"))
        };
        let ip = program::find("ip").ok_or_else(|| missing("ip", "iproute2"))?;
        let nft = program::find("nft").ok_or_else(|| missing("nft", "nftables"))?;
        remove_abandoned(&ip);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        run(&ip, &["netns", "add", &name]).map_err(|error| {
            Skipped(format!("no network namespace can be made (are you root?): {error:#}"))
        })?;
        let namespace = Self { name, ip, nft };
        run(&namespace.ip, &["-n", &namespace.name, "link", "set", "lo", "up"])?;
        // This tests the kernel before anything depends on it.
        namespace.cut().and_then(|()| namespace.heal()).map_err(|error| {
            Skipped(format!("the kernel does not filter packets here: {error:#}"))
        })?;
        Ok(namespace)
    }

    /// Returns a command that runs `command` inside.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new(&self.ip);
        inside.args(["netns", "exec", &self.name]).arg(command.get_program());
        inside.args(command.get_args());
        inside
    }

    /// Runs a future inside, on a thread and a runtime of its own. Returns its result.
    pub(crate) fn run<T: Send + 'static, F: Future<Output = Result<T>>>(
        &self,
        inside: impl FnOnce() -> F + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T>>> {
        let namespace = File::open(format!("/run/netns/{}", self.name))?;
        let (sender, receiver) = oneshot::channel();
        std::thread::Builder::new().name(self.name.clone()).spawn(move || {
            let run = || {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind).context("to enter it")?;
                let runtime = Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(inside())
            };
            // The waiting task may have stopped waiting.
            let _ = sender.send(run());
        })?;
        Ok(receiver)
    }

    /// Drops all packets from now on.
    pub(crate) fn cut(&self) -> Result<()> {
        self.nft(&["-f", "-"], CUT)
    }

    /// Stops dropping packets.
    pub(crate) fn heal(&self) -> Result<()> {
        self.nft(&["delete", "table", "inet", "cut"], "")
    }

    fn nft(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut command = Command::new(&self.ip);
        command.args(["netns", "exec", &self.name, &self.nft]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().context("its input is piped")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run(&self.ip, &["netns", "del", &self.name]);
    }
}

/// Removes the namespaces of interrupted runs.
fn remove_abandoned(ip: &str) {
    let Ok(names) = std::fs::read_dir("/run/netns") else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = run(ip, &["netns", "del", &name]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
