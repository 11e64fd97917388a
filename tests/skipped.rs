//! Prints the tests that were skipped. `cargo test` runs it behind the integration tests, since its name comes behind
//! theirs.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "support/skipped.rs"]
mod skipped;

fn main() {
    // cargo-nextest asks each program for its tests: this one has none.
    if !std::env::args().any(|argument| argument == "--list") {
        print!("\n{}\n", skipped::report());
    }
}
