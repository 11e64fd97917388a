//! The shared parts of the programs that test servers: processes that end with their handle, programs
//! of the system, the machine, and a progress bar.

pub mod machine;
pub mod process;
pub mod program;
mod progress;

pub use machine::Machine;
pub use process::Running;
pub use progress::progress_bar;
