//! One integration binary: what it shares compiles once.

mod macros {
    mod ui;
}
mod wire;
