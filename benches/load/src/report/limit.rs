//! The reference series of a workload.

use crate::results::{Report, Series};

/// The peer that all others are compared with.
pub(crate) const LIMIT: &str = "limit";

/// Returns the reference series of a workload: the limit under the same load. For our own client it
/// is the limit under the generator.
pub(crate) fn reference<'a>(report: &'a Report, workload: &str) -> Option<&'a Series> {
    // The values of this workload are ratios already.
    if workload == "fair" {
        return None;
    }
    let workload = workload.strip_prefix("own_").unwrap_or(workload);
    let mut all = report.series.iter();
    all.find(|series| series.workload == workload && series.peer == LIMIT)
}
