//! The tests of clusters. A binary of its own, since the other tests need none of their crates.

#![allow(unreachable_pub, reason = "nothing is reached from outside a test binary")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod conformance;
#[allow(dead_code, unused_imports, reason = "the integration tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
