//! [`Members`]: a list to which the events of a watch are applied.

use std::collections::BTreeSet;

use veltix_cluster_faults::Watched;

/// The members as a viewer sees them.
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) now: BTreeSet<String>,
    /// The members that entered while they were there, or left while they were not.
    pub(crate) wrong: usize,
    /// The time of each `Left`.
    pub(crate) left: Vec<(u64, String)>,
}

impl Members {
    pub(crate) fn of(watched: &[(u64, Watched)]) -> Self {
        let mut members = Self::default();
        for (at, change) in watched {
            match change {
                Watched::Reset(all) => {
                    members.now = all.iter().cloned().collect();
                    members.wrong += all.len() - members.now.len();
                }
                Watched::Entered(one) => {
                    members.wrong += usize::from(!members.now.insert(one.clone()));
                }
                Watched::Left(one) => {
                    members.wrong += usize::from(!members.now.remove(one));
                    members.left.push((*at, one.clone()));
                }
            }
        }
        members
    }
}
