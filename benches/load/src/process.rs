//! Servers as processes, and where they run.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::thread::CpuSet;
use veltix_stage::Running;

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
        let mut running = Running::start(&mut command)?;
        let start = Instant::now();
        while TcpStream::connect_timeout(&addr, START).is_err() {
            let ended = running.child().try_wait()?;
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
        self.running.resident()
    }
}

/// Starts a program and waits for the first line that it prints, but no longer than this.
pub(crate) fn first_line(mut command: Command, within: Duration) -> Result<(Running, String)> {
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let stdout = running.child().stdout.take().context("its output is piped")?;
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
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running::start(&mut command)?;
    let mut stderr = running.child().stderr.take().context("its output is piped")?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = running.child().try_wait()? {
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
