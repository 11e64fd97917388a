//! Every server under test does the measured work, over real sockets and in a process of its own.

use std::process::Command;

/// Asserts that one peer is verified.
fn verified(peer: &str) {
    assert_eq!(verify(peer), format!("{peer} is verified\n"));
}

/// Asserts the same for a peer that may not be installed. The error output then reports the skip.
fn verified_if_installed(peer: &str) {
    let said = verify(peer);
    if said.starts_with(&format!("{peer} is missing: ")) {
        skipped::skip(&format!("veltix-load verify {peer}"), &said);
    } else {
        assert_eq!(said, format!("{peer} is verified\n"));
    }
}

/// Returns the verdict of the harness on a peer.
fn verify(peer: &str) -> String {
    let verify = Command::new(env!("CARGO_BIN_EXE_veltix-load")).args(["verify", peer]).output();
    let output = verify.expect("the harness can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_limit() {
    verified("limit");
}

#[test]
fn veltix() {
    for handlers in ["veltix", "veltix-async", "veltix-typed", "veltix-by-hand", "veltix-layered"] {
        verified(handlers);
    }
}

#[test]
fn veltix_with_threads() {
    verified("veltix-threading");
}

#[test]
fn the_limit_and_veltix_over_tls() {
    verified("limit-tls");
    if cfg!(feature = "tls") {
        verified("veltix-tls");
    } else {
        let said = verify("veltix-tls");
        assert!(said.contains("is missing: ") && said.contains("--features tls"), "{said}");
    }
}

#[test]
fn hubs_on_length_delimited_codec() {
    verified("delimited");
    verified("delimited-batch");
}

#[test]
fn tarpc() {
    verified("tarpc");
}

#[test]
fn tungstenite() {
    verified("tungstenite");
}

#[test]
fn message_io() {
    verified("message-io");
}

#[test]
fn the_python_package() {
    verified_if_installed("python");
}

#[test]
fn nats() {
    verified_if_installed("nats");
}

#[test]
fn redis() {
    verified_if_installed("redis");
}

#[path = "../../../tests/support/skipped.rs"]
mod skipped;
