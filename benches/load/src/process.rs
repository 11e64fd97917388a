//! Servers as processes, and the processors that they run on.

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

/// The time limit for a server to print its address. An interpreter on a busy machine needs a few
/// seconds.
const START: Duration = Duration::from_secs(20);

/// A server in a process of its own, which is killed when this handle is dropped.
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
    pub(crate) fn announced(command: Command) -> Result<Self> {
        let (running, line) = first_line(command, START)?;
        let addr =
            line.parse().with_context(|| format!("it printed {line:?} in place of its address"))?;
        Ok(Self { running, addr })
    }

    /// Starts a program on a given port and waits until it accepts connections.
    fn listening(program: Program, cpu: Option<usize>) -> Result<Self> {
        let port = program::free_port()?;
        Self::listening_on(port, &program.command(port)?, cpu)
    }

    /// Starts a program that listens on this port, and waits until it accepts connections.
    pub(crate) fn listening_on(port: u16, program: &[String], cpu: Option<usize>) -> Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = other(program, cpu)?;
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

    /// Returns the address of the server.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the resident memory of the process in bytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        self.running.resident()
    }
}

/// Starts a program and waits at most `within` for the first line that it prints.
pub(crate) fn first_line(mut command: Command, within: Duration) -> Result<(Running, String)> {
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let stdout = running.child().stdout.take().context("its output is piped")?;
    let (said, hears) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let _ = said.send(read.map(|_| line));
    });
    let line = hears.recv_timeout(within).context("it printed nothing in time")??;
    Ok((running, line.trim().to_owned()))
}

/// Runs a program to its end, but no longer than `within`. Returns its status and its error output,
/// which must fit into a pipe: a few dozen lines.
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

/// Returns the command for a server that is part of this program.
pub(crate) fn own_serve(name: &str, cpu: Option<usize>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve", name, "--with-parent"]);
    if let Some(cpu) = cpu {
        command.args(["--cpu", &cpu.to_string()]);
    }
    Ok(command)
}

/// Returns the command for a program that is not part of this one. This program replaces itself by
/// it after it has set the processor and the end with the parent.
pub(crate) fn other(program: &[String], cpu: Option<usize>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["exec", "--with-parent"]);
    if let Some(cpu) = cpu {
        command.args(["--cpu", &cpu.to_string()]);
    }
    command.arg("--").args(program);
    Ok(command)
}

/// Replaces this process by another program. Returns only if that fails.
pub(crate) fn become_program(command: &[String]) -> anyhow::Error {
    let [program, arguments @ ..] = command else { return anyhow::anyhow!("there is no program") };
    let error = Command::new(program).args(arguments).exec();
    anyhow::Error::new(error).context(program.clone())
}

/// Binds the calling thread, and the threads that it starts, to one processor.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    anyhow::ensure!(cpu < CpuSet::MAX_CPU, "there is no processor {cpu}");
    let mut only = CpuSet::new();
    only.set(cpu);
    rustix::thread::sched_setaffinity(None, &only).with_context(|| format!("processor {cpu}"))
}
