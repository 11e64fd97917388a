//! The abilities that a node tells the others, one bit each. A node without an ability is not asked.

use veltix_core::cluster::Question;

/// The node answers counts and lists.
pub(super) const READS: u64 = 1;
/// The node changes its peers.
pub(super) const CHANGES: u64 = 1 << 1;
/// The node passes requests on to its peers.
pub(super) const CALLS: u64 = 1 << 2;
/// The node watches its peers for others.
pub(super) const WATCHES: u64 = 1 << 3;

/// The abilities of this release.
pub(super) const ALL: u64 = READS | CHANGES | CALLS | WATCHES;

/// Returns the ability that a question needs.
pub(super) const fn needed(question: &Question) -> u64 {
    match question {
        Question::Change { .. } => CHANGES,
        _ => READS,
    }
}
