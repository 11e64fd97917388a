//! The lines that a test and the process of a node exchange, and the messages of their clients.
//!
//! A node reads [`Order`]s from its standard input and writes [`Line`]s to its standard output. So the orders are
//! no part of the load, and a node without a single client can be asked too.

mod figures;
mod message;
mod order;
mod report;

pub use figures::{median_p99, percentile};
pub use message::{ASK, JOIN, LEAVE, SAY, Said, now};
pub use order::{Load, Order, Place, Settings};
pub use report::{
    Call, Counted, Ended, Line, LoadReport, News, PeerCounts, Sent, State, Surveyed, Watched,
};
