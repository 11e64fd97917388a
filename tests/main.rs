//! One integration binary: what it shares compiles once.

#![allow(unreachable_pub, reason = "nothing is reached from outside a test binary")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod client;
mod config;
mod conformance;
mod examples;
mod faults;
mod fuzz;
mod handlers;
mod hostile;
mod identity;
mod interop;
mod listeners;
mod promises;
mod simulation;
mod support;
mod targets;
mod tcp;
mod testing;
#[cfg(feature = "tls")]
mod tls;
mod typed;
#[cfg(unix)]
mod unix;
mod wire;
