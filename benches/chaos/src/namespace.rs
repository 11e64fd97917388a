//! A network of its own, with nothing in it but a loopback, and a rule that swallows what is sent
//! there: the peers on it vanish for each other, as at a loss of power.

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

/// Everything that is sent is lost without a word.
const CUT: &str = "table inet cut {
  chain lose {
    type filter hook output priority 0;
    oifname \"lo\" drop;
  }
}
";

/// What the names begin with, before the number of the process that made them.
const PREFIX: &str = "veltix-chaos-";

/// A network namespace, which is removed with this handle.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    ip: String,
    nft: String,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    /// [`Skipped`] where that cannot be: without the right to, or the programs for it.
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
        // Whether the kernel can, before anything depends on it.
        namespace.cut().and_then(|()| namespace.heal()).map_err(|error| {
            Skipped(format!("the kernel does not filter packets here: {error:#}"))
        })?;
        Ok(namespace)
    }

    /// A command that becomes this one, inside.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new(&self.ip);
        inside.args(["netns", "exec", &self.name]).arg(command.get_program());
        inside.args(command.get_args());
        inside
    }

    /// Runs something inside, on a thread and a runtime of its own; gives what it ends with.
    pub(crate) fn run<T: Send + 'static, F: Future<Output = Result<T>>>(
        &self,
        inside: impl FnOnce() -> F + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T>>> {
        let namespace = File::open(format!("/run/netns/{}", self.name))?;
        let (said, hears) = oneshot::channel();
        std::thread::Builder::new().name(self.name.clone()).spawn(move || {
            let run = || {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind).context("to enter it")?;
                let runtime = Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(inside())
            };
            // Whoever waited may have given up.
            let _ = said.send(run());
        })?;
        Ok(hears)
    }

    /// From now on everything that is sent is lost.
    pub(crate) fn cut(&self) -> Result<()> {
        self.nft(&["-f", "-"], CUT)
    }

    /// From now on nothing is lost any more.
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

/// Removes what a run that was interrupted has left.
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
