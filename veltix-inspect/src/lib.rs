//! Metrics and health checks of a Veltix server over HTTP.
//!
//! Applications use the module `veltix::inspect`, which has the documentation.

mod connections;
mod error;
mod exposition;
mod health;
mod host;
mod inspector;
#[cfg(target_os = "linux")]
mod process;
mod routes;
mod serving;
#[cfg(test)]
mod tests;

pub use error::InspectError;
pub use exposition::{Exposition, expose};
pub use inspector::{Inspecting, Inspector};
