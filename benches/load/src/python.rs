//! The Python package, in a virtual environment under the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The measured version.
const PACKAGE: &str = "veltix==3.3.0";

/// The time limit of each step of making the environment.
const STEP: Duration = Duration::from_secs(120);

/// The scripts beside this crate's sources.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/server.py");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/client.py");

/// Returns the server and its arguments.
pub(crate) fn server() -> Result<Vec<String>> {
    Ok(vec![interpreter()?, SERVER.to_owned()])
}

/// Returns the client and its arguments, without those that describe its work.
pub(crate) fn client() -> Result<Vec<String>> {
    Ok(vec![interpreter()?, CLIENT.to_owned()])
}

/// Returns the interpreter that has the package. Makes the environment if it does not exist.
fn interpreter() -> Result<String> {
    static INTERPRETER: OnceLock<Result<String, String>> = OnceLock::new();
    let known = INTERPRETER.get_or_init(|| {
        let python = environment().context("the Python package cannot be used");
        python.map_err(|error| format!("{error:#}"))
    });
    known.clone().map_err(anyhow::Error::msg)
}

fn environment() -> Result<String> {
    let place = target_directory()?.join("load-venv");
    let python = place.join("bin/python");
    if !python.exists() {
        // The environment becomes visible as a whole or not at all, also for a parallel run that
        // makes its own.
        let making = place.with_file_name(format!("load-venv.part-{}", std::process::id()));
        let made = make(&making).and_then(|()| {
            if !python.exists() {
                // The existing environment was made with an interpreter that no longer exists.
                let _ = fs::remove_dir_all(&place);
            }
            Ok(fs::rename(&making, &place)?)
        });
        let _ = fs::remove_dir_all(&making);
        // A parallel run may have been first.
        if !python.exists() {
            made?;
        }
    }
    Ok(python.to_str().context("the path of the target directory is not UTF-8")?.to_owned())
}

/// Makes an environment. It may be moved, since only its interpreter is used and none of its
/// scripts.
fn make(place: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(place))?;
    let python = place.join("bin/python");
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    let bounds = ["--timeout", "10", "--retries", "1", "--only-binary", ":all:"];
    run(Command::new(&python).args(pip).args(bounds).arg(PACKAGE))?;
    run(Command::new(&python).args(["-c", "import veltix"]))
}

/// Runs a command to its end, and kills it after the time limit.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let what = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| what.clone())?;
    let ended = wait(&mut child, STEP);
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let status = ended.with_context(|| what.clone())?;
    ensure!(status.success(), "{what}: {status}");
    Ok(())
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("it did not end within {limit:?}")
}

/// Returns Cargo's target directory, or the part of it for one target. This program lies in a
/// directory of it that is named after the profile.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2);
    Ok(target.context("this program is not in a target directory")?.to_owned())
}
