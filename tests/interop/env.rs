//! The virtual environments of the Python package, made once under the target directory.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The tested versions of the package. Older ones use another handshake.
pub(crate) const VERSIONS: [&str; 3] = ["3.3.0", "3.0.2", "2.0.3"];

/// The minimum version of Python for the package.
const NEEDS_PYTHON: (u32, u32) = (3, 11);

const PYTHONS: [&str; 5] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];

/// The time limit for one step of creating an environment; an unreachable registry is noticed
/// sooner.
const STEP_LIMIT: Duration = Duration::from_secs(120);

/// Returns `target/interop` in the target directory of this build.
pub(crate) fn dir() -> PathBuf {
    // Cargo gives tests a directory of their own in the target directory.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("interop");
    fs::create_dir_all(&dir).expect("the target directory can be written");
    dir
}

/// Reports whether the interop tests must not be skipped.
pub(crate) fn required() -> bool {
    std::env::var_os("VELTIX_REQUIRE_INTEROP").is_some_and(|value| value == "1")
}

/// Returns the interpreter that has this version of the package, or the reason why there is none.
pub(crate) fn python(version: &str) -> Result<PathBuf, String> {
    static ENVIRONMENTS: [OnceLock<Result<PathBuf, String>>; VERSIONS.len()] =
        [const { OnceLock::new() }; VERSIONS.len()];
    let index = VERSIONS.iter().position(|known| *known == version).expect("a listed version");
    ENVIRONMENTS[index].get_or_init(|| environment(version)).clone()
}

fn environment(version: &str) -> Result<PathBuf, String> {
    let ready = dir().join(format!("venv-{version}"));
    let interpreter = ready.join("bin/python");
    if interpreter.exists() {
        return Ok(interpreter);
    }
    let failed = dir().join(format!("venv-{version}.failed"));
    if let Some(reason) = failure_of_this_run(&failed) {
        return Err(reason);
    }
    // Other processes may create it at the same time: each creates its own, and the first one is
    // used.
    let making = dir().join(format!("venv-{version}.part-{}", std::process::id()));
    let made = make(version, &making).and_then(|()| {
        if !interpreter.exists() {
            // The existing environment was made with a Python that no longer exists.
            let _ = fs::remove_dir_all(&ready);
        }
        fs::rename(&making, &ready).map_err(|error| error.to_string())
    });
    let _ = fs::remove_dir_all(&making);
    match made {
        Err(reason) if !interpreter.exists() => {
            if let Ok(run) = std::env::var(RUN_ID) {
                let _ = fs::write(&failed, format!("{run}\n{reason}"));
            }
            Err(reason)
        }
        _ => Ok(interpreter),
    }
}

/// The variable in which cargo-nextest, which starts a process for each test, passes the id of a
/// run.
const RUN_ID: &str = "NEXTEST_RUN_ID";

/// Returns the failure of an earlier test in this run, so that a failed installation is not
/// repeated for each test.
fn failure_of_this_run(failed: &Path) -> Option<String> {
    let this_run = std::env::var(RUN_ID).ok()?;
    let content = fs::read_to_string(failed).ok()?;
    let (run, reason) = content.split_once('\n')?;
    (run == this_run).then(|| reason.to_owned())
}

/// Creates an environment. It may be moved: only its interpreter is used, none of its scripts.
fn make(version: &str, place: &Path) -> Result<(), String> {
    let base = interpreter()?;
    bounded("python3 -m venv", Command::new(base).args(["-m", "venv"]).arg(place))?;
    let python = place.join("bin/python");
    let package = format!("veltix=={version}");
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    let quickly = ["--timeout", "10", "--retries", "1", "--only-binary", ":all:"];
    let mut install = Command::new(&python);
    bounded(&format!("pip install {package}"), install.args(pip).args(quickly).arg(package))?;
    bounded("import veltix", Command::new(&python).args(["-c", "import veltix"]))
}

/// Returns the first Python that is new enough and can create environments.
fn interpreter() -> Result<&'static str, String> {
    let (major, minor) = NEEDS_PYTHON;
    let check =
        format!("import sys, venv, ensurepip; sys.exit(sys.version_info < ({major}, {minor}))");
    let works = |python: &&&str| bounded("", Command::new(python).args(["-c", &check])).is_ok();
    let found = PYTHONS.iter().find(works);
    found.copied().ok_or_else(|| format!("there is no Python {major}.{minor} or newer with venv"))
}

/// Runs a command to its end, and kills it if that takes too long.
fn bounded(what: &str, command: &mut Command) -> Result<(), String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let output = dir().join(format!("output-{}-{number}", std::process::id()));
    let ended = File::create(&output).and_then(|file| status(command, file));
    let said = fs::read_to_string(&output).unwrap_or_default();
    let _ = fs::remove_file(&output);
    let last = said.trim_end().lines().next_back().unwrap_or_default();
    match ended {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(format!("{what}: {status}: {last}")),
        Ok(None) => Err(format!("{what}: not done after {STEP_LIMIT:?}: {last}")),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

/// Returns the exit status, or `None` if the command was killed after its time limit.
fn status(command: &mut Command, output: File) -> io::Result<Option<ExitStatus>> {
    let errors = output.try_clone()?;
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn()?;
    let deadline = Instant::now() + STEP_LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
