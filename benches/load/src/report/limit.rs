//! The series that others are compared with.

use crate::results::{Report, Series};

/// The peer that all others are compared with.
pub(crate) const LIMIT: &str = "limit";

/// What a workload's values are compared with: the limit under the same load, or, for our own
/// client, the limit under the generator.
pub(crate) fn reference<'a>(report: &'a Report, workload: &str) -> Option<&'a Series> {
    // Its values are ratios already.
    if workload == "fair" {
        return None;
    }
    let workload = workload.strip_prefix("own_").unwrap_or(workload);
    let mut all = report.series.iter();
    all.find(|series| series.workload == workload && series.peer == LIMIT)
}
