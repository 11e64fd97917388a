//! The rate at which one peer may send, and the steps against a peer that exceeds it.

mod bucket;
mod limiter;
mod settings;

pub use bucket::TokenBucket;
pub use limiter::{RateLimiter, Verdict};
pub use settings::Rate;
