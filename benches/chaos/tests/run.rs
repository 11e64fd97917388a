//! The whole program, with the fastest scenario.

use std::process::{Command, Output};

fn veltix_chaos(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_veltix-chaos");
    Command::new(program).args(arguments).output().expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const QUICKLY: [&str; 5] = ["--short", "--seed", "7", "--only", "r52_eof_after_sends"];

#[test]
fn a_scenario_is_played_and_its_figures_are_shown() {
    let page = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos.md");
    let page = page.to_str().expect("a path of text");
    let output = veltix_chaos(&[&QUICKLY[..], &["--out", page]].concat());
    let (table, warned) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{table}{warned}");
    assert!(table.contains("= 50000"), "the condition for a pass is shown: {table}");
    assert!(table.ends_with("\n1 passed, 0 failed, 0 skipped\n"), "{table}");
    assert!(warned.contains("seed 7"), "{warned}");
    let page = std::fs::read_to_string(page).expect("it was written");
    assert!(page.contains("| messages handled | 50000 | = 50000 | ok |"), "{page}");
}

#[test]
fn a_server_that_miscounts_once_fails_and_the_replay_is_named() {
    let output = veltix_chaos(&[&QUICKLY[..], &["--lie"]].concat());
    let (table, warned) = (text(&output.stdout), text(&output.stderr));
    assert!(!output.status.success(), "{table}{warned}");
    assert!(table.contains("0 passed, 1 failed"), "{table}");
    let found = "connections whose peer counted otherwise              1 of 500: #";
    assert!(table.contains(found), "{table}");
    let replay = "-p veltix-chaos -- --only r52_eof_after_sends --seed 7 --short --lie";
    assert!(warned.contains(replay), "{warned}");
}

#[test]
fn the_list_names_every_scenario_and_what_is_not_there_is_refused() {
    let list = text(&veltix_chaos(&["--list"]).stdout);
    for row in ["r16", "r17", "r18", "r20", "r22", "r23", "r24", "r29", "r30", "r33", "r40", "r48"]
    {
        assert!(list.lines().any(|line| line.starts_with(row)), "{row} is not in {list}");
    }
    let refused = veltix_chaos(&["--only", "r99"]);
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("r99"));
}
