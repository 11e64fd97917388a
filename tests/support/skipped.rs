//! Tests that this machine cannot run. The harness of `cargo test` cannot skip a test that has begun: it passes. So
//! each such test records itself in a file, and `tests/skipped.rs` prints the file after the tests.
//!
//! The test programs of a run have one parent, Cargo, and so has the program that prints. Therefore each run has a
//! file that is named after the parent, and the program removes it. `VELTIX_SKIPPED` names another file, which stays
//! and collects the skipped tests of several runs.

#![allow(dead_code, reason = "a program that records does not print, and the reverse")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::env;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds after which a line is from an earlier run, whose parent had the same number.
const RUN: u64 = 3600;

/// Names that the report shows for one reason; of more it shows the number.
const SHOWN: usize = 12;

/// Records that a test is skipped. The reason is also printed at once, the first time in a process: past the harness,
/// which hides the output of a test that passes.
pub(crate) fn skip(test: &str, reason: &str) {
    static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.get_or_insert_default().insert(reason.clone()) {
        let line = format!("skipped: {test}, and each test that needs the same: {reason}\n");
        let _ = io::stderr().write_all(line.as_bytes());
    }
    drop(said);
    let (file, now) = (file(), now());
    let written = fs::create_dir_all(file.parent().expect("a file is in a directory"))
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&file))
        // One write in append mode is whole, whichever other processes write too.
        .and_then(|mut file| file.write_all(format!("{now}\t{test}\t{reason}\n").as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// The skipped tests of this run, by their reasons, as text. Forgets them, unless several runs collect.
pub(crate) fn report() -> String {
    let file = file();
    let lines = fs::read_to_string(&file).unwrap_or_default();
    if env::var_os("VELTIX_SKIPPED").is_none() {
        let _ = fs::remove_file(&file);
    }
    text(&lines, now().saturating_sub(RUN))
}

/// The text of the report about the lines of a file that are not older than this.
pub(crate) fn text(lines: &str, oldest: u64) -> String {
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in lines.lines() {
        let mut fields = line.splitn(3, '\t');
        let (Some(at), Some(test), Some(reason)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if at.parse().is_ok_and(|at: u64| at >= oldest) {
            reasons.entry(reason).or_default().insert(test);
        }
    }
    let mut text = String::new();
    for (reason, tests) in &reasons {
        let _ = writeln!(text, "{} skipped: {reason}", tests.len());
        for test in tests.iter().take(SHOWN) {
            let _ = writeln!(text, "    {test}");
        }
        if tests.len() > SHOWN {
            let _ = writeln!(text, "    and {} more", tests.len() - SHOWN);
        }
    }
    if text.is_empty() { "no test was skipped\n".to_owned() } else { text }
}

fn file() -> PathBuf {
    if let Some(file) = env::var_os("VELTIX_SKIPPED") {
        return file.into();
    }
    // cargo-nextest gives each test a process of its own, and each run a name.
    let parent = || std::os::unix::process::parent_id().to_string();
    let run = env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| parent());
    // Cargo gives tests a directory of their own in the target directory.
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("skipped").join(run)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
