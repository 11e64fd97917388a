//! The whole program, with measurements that are too short to mean anything.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn veltix_load(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_veltix-load");
    Command::new(program).args(args).output().expect("the program can be started")
}

/// Returns a directory for the results of one test.
fn results_of(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(test)
}

#[test]
fn every_workload_gives_a_sample_for_each_round() {
    const WORKLOADS: [&str; 11] = [
        "W1s", "W2", "W3", "W4_100", "W4p_100", "W5", "W7", "own_W1s", "own_W3", "latency", "fair",
    ];
    let out = results_of("every_workload");
    let output = veltix_load(&[
        "run",
        "--only",
        &WORKLOADS.join(","),
        "--peers",
        "limit,veltix",
        "--rounds",
        "2",
        "--seconds",
        "0.05",
        "--out",
        out.to_str().expect("a path of text"),
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(out.join("results.json")).expect("results");
    let results: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(results["missing"], serde_json::json!([]));
    let series = results["series"].as_array().expect("series");
    for workload in WORKLOADS {
        // Only one of the two peers has a client of its own.
        let peers = if workload.starts_with("own") { 1 } else { 2 };
        let of_this: Vec<_> =
            series.iter().filter(|series| series["workload"] == workload).collect();
        assert_eq!(of_this.len(), peers, "{workload}");
        for series in of_this {
            let samples = series["samples"].as_array().expect("samples");
            assert_eq!(samples.len(), 2, "{series}");
            assert!(samples.iter().all(|sample| sample.as_f64() > Some(0.0)), "{series}");
        }
    }
}

#[test]
fn what_there_is_not_is_named() {
    for (args, named) in [
        (["run", "--only", "W99"], "W99"),
        (["run", "--peers", "nobody"], "nobody"),
        (["serve", "nobody", "--cpu=0"], "nobody"),
        (["run", "--rounds=1", "--seconds=-1"], "more than 0"),
        (["run", "--rounds", "0"], "1..=100"),
    ] {
        let output = veltix_load(&args);
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn without_valgrind_it_is_said_what_to_install() {
    if ["/usr/sbin", "/usr/local/sbin"].iter().any(|dir| Path::new(dir).join("valgrind").exists()) {
        return;
    }
    let program = env!("CARGO_BIN_EXE_veltix-load");
    let mut command = Command::new(program);
    let output = command.args(["budgets", "sink"]).env("PATH", "/nowhere").output();
    let output = output.expect("the program can be started");
    assert_eq!(output.status.code(), Some(2), "nothing was counted, so there is no verdict");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("apt-get install valgrind"), "{error}");
}
