//! The check of the language: how sentences in comments and pages begin.
//!
//! A sentence that begins with What, Who, Whoever, Whom, Where, "Those who", "Anyone who" or "That which" has a
//! clause as its subject. Most readers need a second look at it; a noun does better. "So long", "so
//! many" and "so much" hide the unit of a number.

mod blocks;
mod openings;
mod sentences;
mod trees;

pub use openings::{Kind, Opening};
pub use trees::{Hit, Tree, count, over_limit, report, trees};
