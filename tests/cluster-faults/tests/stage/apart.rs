//! A test in a network of its own, in which packets may be dropped.

use std::env;
use std::process::Command;

use tokio::runtime::Builder;

use crate::skipped::skip;

/// Is set to the name of the test in the process that runs it.
const INSIDE: &str = "VELTIX_FAULTS_INSIDE";

/// Is set where no test may be skipped.
const REQUIRED: &str = "VELTIX_REQUIRE_ROWS";

/// Runs a test of this name in a network namespace of its own: the program again, for this test alone.
pub(crate) fn apart(test: &str, body: impl Future<Output = ()>) {
    if env::var(INSIDE).is_ok_and(|inside| inside == test) {
        assert!(run("ip", "link set lo up"));
        return Builder::new_multi_thread().enable_all().build().unwrap().block_on(body);
    }
    for (program, words) in [("unshare", "--net true"), ("ip", "-Version"), ("nft", "--version")] {
        if !run(program, words) {
            assert!(env::var_os(REQUIRED).is_none(), "`{program} {words}` does not work");
            return skip(test, &format!("`{program} {words}` does not work"));
        }
    }
    let done = Command::new("unshare")
        .arg("--net")
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, test)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&done.stdout);
    // The harness begins a line with the name of the test.
    let lines = output.lines().filter_map(|line| Some(&line[line.find("C5:")?..]));
    lines.for_each(|line| println!("{line}"));
    let errors = String::from_utf8_lossy(&done.stderr);
    let passed = done.status.success() && (output.contains("1 passed"));
    assert!(passed, "apart, {test} ended with {}:\n{output}\n{errors}", done.status);
}

/// Runs a program, and returns whether it has succeeded.
pub(crate) fn run(program: &str, words: &str) -> bool {
    Command::new(program).args(words.split(' ')).output().is_ok_and(|done| done.status.success())
}
