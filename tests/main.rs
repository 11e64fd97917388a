//! One integration binary: what it shares compiles once.

mod client;
mod config;
mod faults;
mod interop;
mod macros {
    mod ui;
}
mod promises;
mod support;
mod tcp;
mod wire;
