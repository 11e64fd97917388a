//! Tests that need a process of their own: since they measure one, or need one with other limits,
//! another clock or another network.
//!
//! Such a test runs itself again as a child, in which nothing else runs:
//!
//! ```ignore
//! #[test]
//! fn nothing_grows() {
//!     alone!(Alone::within(seconds(30)).under(["prlimit", "--nofile=64"]), async {
//!         let before = alone::memory();
//!         …
//!     });
//! }
//! ```
//!
//! A test for which a machine lacks something is skipped and recorded as skipped, but under
//! `VELTIX_REQUIRE_ROWS=1` it fails.

use std::env;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::skipped::skip;

/// In the child: the name of the test that it is.
const IS_ALONE: &str = "VELTIX_ALONE";

/// Set where nothing may be skipped.
const REQUIRED: &str = "VELTIX_REQUIRE_ROWS";

/// Clock ticks of `/proc` in a second: what Linux has told programs on every machine for decades.
const TICKS: u32 = 100;

/// Runs a future in a process of its own, on a runtime with two workers.
macro_rules! alone {
    ($how:expr, $body:expr $(,)?) => {{
        fn here() {}
        $crate::support::alone::run(std::any::type_name_of_val(&here), $how, $body)
    }};
}
pub(crate) use alone;

/// How a test runs alone.
#[derive(Debug)]
pub struct Alone {
    limit: Duration,
    /// Commands with their first arguments, which run the rest of theirs as a command.
    under: Vec<String>,
    /// Commands that the test itself starts.
    needs: Vec<&'static str>,
    set: Vec<(&'static str, String)>,
    paused: bool,
}

impl Alone {
    /// The child is ended, and the test fails, after this time.
    pub const fn within(limit: Duration) -> Self {
        Self { limit, under: Vec::new(), needs: Vec::new(), set: Vec::new(), paused: false }
    }

    /// Starts the child by this command, which executes what follows its own arguments: `prlimit`,
    /// `unshare --net`. The last call's is the outermost.
    pub fn under<const N: usize>(mut self, command: [&str; N]) -> Self {
        self.under.splice(0..0, command.map(str::to_owned));
        self
    }

    /// The test starts this command.
    pub fn needs(mut self, command: &'static str) -> Self {
        self.needs.push(command);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set.push((name, value.into()));
        self
    }

    /// On a paused clock, and one thread.
    pub const fn paused(mut self) -> Self {
        self.paused = true;
        self
    }

    /// The part that this machine lacks for it.
    fn lacks(&self) -> Option<String> {
        let fails = |words: &[&str]| {
            let (program, rest) = words.split_first()?;
            let done = Command::new(program).args(rest).stdin(Stdio::null()).output();
            match done {
                Ok(done) if done.status.success() => None,
                Ok(done) => Some(format!(
                    "`{}` failed: {}",
                    words.join(" "),
                    String::from_utf8_lossy(&done.stderr).trim()
                )),
                Err(error) => Some(format!("`{program}` cannot be started: {error}")),
            }
        };
        let mut under: Vec<&str> = self.under.iter().map(String::as_str).collect();
        if !under.is_empty() {
            under.push("true");
        }
        let version = |program: &&str| match *program {
            "ip" => fails(&["ip", "-Version"]),
            program => fails(&[program, "--version"]),
        };
        fails(&under).or_else(|| self.needs.iter().find_map(version))
    }

    fn runtime(&self) -> Runtime {
        if !self.paused {
            return runtime();
        }
        let mut builder = Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().expect("a runtime")
    }

    fn command(&self, name: &str) -> Command {
        let this = env::current_exe().expect("a test has a program");
        let mut words = self.under.iter();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(this);
                command
            }
            None => Command::new(this),
        };
        command
            .args([name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
            .env(IS_ALONE, name)
            .envs(self.set.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// See [`alone!`].
#[allow(clippy::print_stdout, reason = "what a row has measured is to be seen")]
pub fn run(here: &'static str, how: Alone, body: impl Future<Output = ()>) {
    let name = here.trim_end_matches("::here").trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").expect("a test is in a module of its crate");
    if env::var(IS_ALONE).is_ok_and(|alone| alone == name) {
        return how.runtime().block_on(body);
    }
    if let Some(lack) = how.lacks() {
        assert!(env::var_os(REQUIRED).is_none(), "this test cannot run here: {lack}");
        return skip(name, &lack);
    }
    let mut child = Ended(how.command(name).spawn().expect("the child starts"));
    let output = [
        collect(child.0.stdout.take().expect("it is piped")),
        collect(child.0.stderr.take().expect("it is piped")),
    ];
    let begun = Instant::now();
    let status = loop {
        match child.0.try_wait().expect("it is a child") {
            Some(status) => break Some(status),
            None if begun.elapsed() > how.limit => break None,
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    // Its output ends with it.
    drop(child);
    let [out, err] = output.map(|lines| lines.join().expect("reading does not panic"));
    let passed = status.is_some_and(|status| status.success()) && out.contains("1 passed");
    let measured =
        out.lines().chain(err.lines()).filter_map(|line| Some(&line[line.find("row R")?..]));
    measured.for_each(|line| println!("{line}"));
    assert!(passed, "alone, {name} ended with {status:?}:\n{out}\n{err}");
}

/// A runtime as a server has it.
pub fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A child that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes of memory that this process holds now.
pub fn memory() -> usize {
    status("VmRSS:")
}

/// Bytes of memory that this process has held at most since [`reset_peak`].
pub fn peak() -> usize {
    status("VmHWM:")
}

/// Has [`peak`] begin anew.
pub fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("a process may look at itself");
}

fn status(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux says so");
    let kib = line.trim().trim_end_matches(" kB").parse::<usize>().expect("it is a number");
    kib * 1024
}

/// Descriptors that this process holds.
pub fn descriptors() -> usize {
    let list = fs::read_dir("/proc/self/fd").expect("a process has descriptors");
    // One of them is the list's own.
    list.count() - 1
}

/// Time that all threads of this process have computed, by themselves and in the kernel. After the
/// first call it needs no descriptor of its own.
pub fn cpu() -> Duration {
    static STAT: OnceLock<File> = OnceLock::new();
    let stat = STAT.get_or_init(|| File::open("/proc/self/stat").expect("a process has numbers"));
    let mut bytes = [0; 1024];
    let length = stat.read_at(&mut bytes, 0).expect("it can be read");
    let stat = String::from_utf8_lossy(&bytes[..length]);
    let (_, rest) = stat.rsplit_once(')').expect("its name comes second");
    let ticks = |field: usize| rest.split_whitespace().nth(field - 3)?.parse::<u32>().ok();
    let ticks = ticks(14).zip(ticks(15)).map(|(user, kernel)| user + kernel).expect("numbers");
    Duration::from_secs(1) * ticks / TICKS
}

/// Tasks of this runtime that have not ended.
pub fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Waits until everything that has come to the sockets of this port was read.
pub async fn all_read(port: u16) {
    let port = format!(":{port:04X}");
    let unread = || {
        let table = fs::read_to_string("/proc/self/net/tcp").expect("Linux lists its sockets");
        let queue = |line: &str| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next()?;
            let (_, received) = fields.nth(2)?.split_once(':')?;
            (local.ends_with(&port) && received.bytes().any(|digit| digit != b'0')).then_some(())
        };
        table.lines().filter_map(queue).count()
    };
    while unread() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Bytes as MiB, for what a row tells.
pub fn mib(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Tells what a row has measured, in the form that the table of `docs/threats.md` is made of.
#[allow(clippy::print_stdout, reason = "that is what it is for")]
pub fn measured(row: u8, what: impl Display) {
    println!("row R{row}: {what}");
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, resume_unwind};

    use super::*;
    use crate::support::{TempDir, skipped};

    #[test]
    fn it_runs_once_and_in_another_process() {
        alone!(Alone::within(Duration::from_secs(60)).set("VELTIX_ALONE_PARENT", "it"), async {
            assert_eq!(env::var("VELTIX_ALONE_PARENT").as_deref(), Ok("it"));
            assert!(memory() > 0 && memory() <= peak() && descriptors() > 2);
            let begun = cpu();
            let block = vec![1_u8; 64 << 20];
            reset_peak();
            assert!(memory() >= block.len());
            drop(block);
            assert!(peak() >= 64 << 20 && memory() < 64 << 20);
            while cpu() == begun {}
            assert_eq!(tasks(), 0);
        });
    }

    #[test]
    fn a_test_that_cannot_run_is_recorded_as_skipped() {
        const CHILD: &str = "VELTIX_ALONE_LACKS";
        const NAME: &str = "support::alone::tests::a_test_that_cannot_run_is_recorded_as_skipped";
        if env::var_os(CHILD).is_some() {
            let how = Alone::within(Duration::from_secs(60)).needs("veltix-no-such-program");
            return alone!(how, async { panic!("it runs without what it needs") });
        }
        let dir = TempDir::new();
        let file = dir.path().join("skipped");
        let again = Command::new(env::current_exe().unwrap())
            .args([NAME, "--exact"])
            .env(CHILD, "1")
            .env("VELTIX_SKIPPED", &file)
            .env_remove(REQUIRED)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stderr);
        assert!(again.status.success() && said.starts_with("skipped: "), "{again:?}");
        let report = skipped::text(&fs::read_to_string(&file).unwrap(), 0);
        let lines: Vec<_> = report.lines().collect();
        let reason = "1 skipped: `veltix-no-such-program` cannot be started: ";
        assert!(lines[0].starts_with(reason), "{report}");
        assert_eq!(lines[1].trim(), NAME);
    }

    #[test]
    fn skipped_tests_are_reported_by_their_reasons() {
        let lines =
            "99\told\tno nft\n100\tb\tno nft\n101\ta\tno nft\n102\ta\tno nft\n103\tc\tno Python\n";
        let report = skipped::text(lines, 100);
        let expected = "1 skipped: no Python\n    c\n2 skipped: no nft\n    a\n    b\n";
        assert_eq!(report, expected);
        let many: String = (0..100).map(|n| format!("1\t{n:02}\tno Python\n")).collect();
        assert!(skipped::text(&many, 0).ends_with("    11\n    and 88 more\n"));
        assert_eq!(skipped::text(&many, 2), "no test was skipped\n");
    }

    #[test]
    fn its_failure_is_the_test_s() {
        let how = Alone::within(Duration::from_secs(60));
        let failed = catch_unwind(|| alone!(how, async { panic!("what the child says") }));
        let failed = failed.expect_err("it fails");
        if env::var_os(IS_ALONE).is_some() {
            resume_unwind(failed);
        }
        let text = failed.downcast_ref::<String>().expect("a text");
        assert!(text.contains("what the child says"), "{text}");
    }

    #[test]
    #[should_panic(expected = "ended with None")]
    fn it_is_ended_when_its_time_is_over() {
        alone!(Alone::within(Duration::from_millis(50)), std::future::pending());
    }
}
