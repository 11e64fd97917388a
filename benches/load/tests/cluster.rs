//! The measurement of a cluster, too short to mean anything.

use std::path::Path;
use std::process::{Command, Output};

fn veltix_load(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_veltix-load");
    Command::new(program).args(args).output().expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_short_run_measures_every_figure_of_three_nodes() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
    let out = out.to_str().expect("a path of text");
    let output = veltix_load(&["cluster", "--short", "--out", out]);
    let (said, error) = (text(&output.stdout), text(&output.stderr));
    if !cfg!(feature = "cluster") {
        assert!(!output.status.success());
        assert!(error.contains("--features cluster"), "{error}");
        return;
    }
    assert!(output.status.success(), "{error}");
    if let Some(why) = said.strip_prefix("skipped: ") {
        return skipped::skip("veltix-load cluster", why);
    }
    let socket_io = said.lines().find(|line| line.starts_with("- Not measured: socket.io"));
    if let Some(why) = socket_io {
        skipped::skip("veltix-load cluster, Socket.IO", why);
    }
    let rows = |start: &str| -> Vec<_> {
        said.lines().filter(|line| line.contains(start) && line.contains("| 3 nodes, ")).collect()
    };
    for start in ["deliveries/s of the relay", "cross-node p50", "own rooms"] {
        let rows = rows(start);
        assert!(!rows.is_empty(), "{said}");
        assert!(rows.iter().all(|row| !row.contains("not measured")), "{said}");
    }
    let again = veltix_load(&["cluster", "--from", &format!("{out}/cluster.json"), "--out", out]);
    assert_eq!(text(&again.stdout), said, "the table of the same results is the same");
}

#[path = "../../../tests/support/skipped.rs"]
mod skipped;
