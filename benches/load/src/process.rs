//! Servers as processes, and what a process can say and change about itself.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

use crate::peers::{PeerSpec, Start};
use crate::program::{self, Program};
use crate::python;
use crate::results::Missing;

/// How long a server may take to say where it listens. An interpreter on a busy machine needs a
/// few seconds.
const START: Duration = Duration::from_secs(20);

/// A server in a process of its own, which ends with this handle.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    running: Running,
    addr: SocketAddr,
}

/// A process that ends with this handle.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl ServerProcess {
    /// Starts a server, on one processor alone if one is given, and waits until it listens.
    pub(crate) fn start(peer: &PeerSpec, cpu: Option<usize>) -> Result<Self, Missing> {
        let started = match peer.start {
            Start::OwnServe => own_serve(peer.name, cpu).and_then(Self::announced),
            Start::Python => {
                python::server().and_then(|python| other(&python, cpu)).and_then(Self::announced)
            }
            Start::Program(program) => Self::listening(program, cpu),
        };
        started.map_err(|error| Missing {
            peer: peer.name.to_owned(),
            workload: None,
            why: format!("{error:#}"),
        })
    }

    /// Starts a program that prints its address in its first line.
    fn announced(command: Command) -> Result<Self> {
        let (running, line) = first_line(command, START)?;
        let addr = line.parse().with_context(|| format!("it said {line:?}, not its address"))?;
        Ok(Self { running, addr })
    }

    /// Starts a program that is told where to listen and does not say when it does.
    fn listening(program: Program, cpu: Option<usize>) -> Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], program::free_port()?));
        let mut command = other(&program.command(addr.port())?, cpu)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running(command.spawn()?);
        let start = Instant::now();
        while TcpStream::connect_timeout(&addr, START).is_err() {
            let ended = running.0.try_wait()?;
            anyhow::ensure!(ended.is_none(), "it ended at once: {ended:?}");
            anyhow::ensure!(start.elapsed() < START, "it did not listen within {START:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { running, addr })
    }

    /// Where the server listens.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Bytes of memory that the process has resident.
    pub(crate) fn resident(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.running.0.id());
        let status = std::fs::read_to_string(path).context("the server has ended")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(1024.0 * kib.context("the system does not say how much memory is resident")?)
    }
}

/// Starts a program and waits for the first line that it prints, but no longer than this.
pub(crate) fn first_line(mut command: Command, within: Duration) -> Result<(Running, String)> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.with_context(|| format!("{:?}", command.get_program()))?);
    let stdout = running.0.stdout.take().context("its output is piped")?;
    let (said, hears) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let _ = said.send(read.map(|_| line));
    });
    let line = hears.recv_timeout(within).context("it says nothing")??;
    Ok((running, line.trim().to_owned()))
}

/// Runs a program to its end, but no longer than this; says how it ended and what it wrote to its
/// error output, which must not be much more than a terminal shows.
pub(crate) fn last_words(mut command: Command, within: Duration) -> Result<(ExitStatus, String)> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut running = Running(child.with_context(|| format!("{:?}", command.get_program()))?);
    let mut stderr = running.0.stderr.take().context("its output is piped")?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = running.0.try_wait()? {
            break status;
        }
        anyhow::ensure!(start.elapsed() < within, "it did not end within {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut said = String::new();
    stderr.read_to_string(&mut said)?;
    Ok((status, said))
}

fn own_serve(name: &str, cpu: Option<usize>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve", name, "--with-parent"]);
    if let Some(cpu) = cpu {
        command.args(["--cpu", &cpu.to_string()]);
    }
    Ok(command)
}

/// The command for a program that is not ours: this one becomes it, once it has seen to the
/// processor and to its end.
pub(crate) fn other(program: &[String], cpu: Option<usize>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["exec", "--with-parent"]);
    if let Some(cpu) = cpu {
        command.args(["--cpu", &cpu.to_string()]);
    }
    command.arg("--").args(program);
    Ok(command)
}

/// Has this process become another program; returns only if that cannot be.
pub(crate) fn become_program(command: &[String]) -> anyhow::Error {
    let [program, arguments @ ..] = command else { return anyhow::anyhow!("there is no program") };
    let error = Command::new(program).args(arguments).exec();
    anyhow::Error::new(error).context(program.clone())
}

/// Keeps the calling thread, and those that it starts, on one processor.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    anyhow::ensure!(cpu < CpuSet::MAX_CPU, "there is no processor {cpu}");
    let mut only = CpuSet::new();
    only.set(cpu);
    rustix::thread::sched_setaffinity(None, &only).with_context(|| format!("processor {cpu}"))
}

/// Lets this process have as many open files as the system allows it.
pub(crate) fn raise_file_limit() -> Result<()> {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    let all = Rlimit { current: maximum, maximum };
    rustix::process::setrlimit(Resource::Nofile, all).context("the limit of open files")
}

/// How many files this process may have open.
pub(crate) fn file_limit() -> usize {
    let Rlimit { current, .. } = rustix::process::getrlimit(Resource::Nofile);
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Has the system end this process when the thread that started it ends.
pub(crate) fn end_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("a signal at the parent's end")
}
