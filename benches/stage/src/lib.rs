//! What the programs that put servers on trial share: processes that end with their handle, other
//! programs of the system, the machine, and a progress bar.

pub mod machine;
pub mod process;
pub mod program;
mod progress;

pub use machine::Machine;
pub use process::Running;
pub use progress::progress_bar;
