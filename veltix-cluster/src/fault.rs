//! Planted bugs, as in `veltix-tokio`: each breaks one promise, which shows that the simulation of clusters
//! detects the failure. They exist only under `--cfg veltix_planted_bugs`.

/// Returns whether the named bug is planted on this thread.
#[cfg(veltix_planted_bugs)]
macro_rules! fault {
    ($bug:literal) => {
        veltix_tokio::__private::is_planted($bug)
    };
}

/// Returns whether the named bug is planted on this thread. In this build it is always `false`.
#[cfg(not(veltix_planted_bugs))]
macro_rules! fault {
    ($bug:literal) => {
        false
    };
}
