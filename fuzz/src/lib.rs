//! The fuzz targets: each is a function that panics when a check fails.
//!
//! `fuzz_targets/` passes them to libFuzzer. `tests/fuzz` of the facade includes the same files as
//! a module and replays the seeds and the corpora, so that a plain `cargo test` repeats the earlier
//! findings of a fuzzer.

#[cfg(feature = "cluster")]
mod cluster_batch;
#[cfg(feature = "cluster")]
mod cluster_node;
mod frame;
mod handshake;
mod proxy_head;
mod query;
mod reference;
mod stream;
mod typed_body;

#[cfg(feature = "cluster")]
pub use cluster_batch::cluster_batch;
#[cfg(feature = "cluster")]
pub use cluster_node::cluster_node;
pub use frame::frame;
pub use handshake::handshake;
pub use proxy_head::proxy_head;
pub use query::query;
pub use stream::stream;
pub use typed_body::typed_body;

/// Limits for the size of a frame, beginning with the smallest that lets any frame pass. The last
/// is the default.
const LIMITS: [usize; 8] =
    [15, 16, 31, 100, 1000, 5000, 1 << 20, veltix_core::limits::MAX_MESSAGE_SIZE];
