//! One integration binary: what it shares compiles once.

mod client;
mod config;
mod faults;
mod interop;
mod macros {
    mod ui;
}
mod support;
mod tcp;
mod wire;
