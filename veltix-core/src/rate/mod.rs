//! How fast one peer may send, and what happens to one that sends faster.

mod bucket;
mod limiter;
mod settings;

pub use bucket::TokenBucket;
pub use limiter::{RateLimiter, Verdict};
pub use settings::Rate;
