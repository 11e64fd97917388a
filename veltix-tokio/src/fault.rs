//! Planted bugs: each breaks one promise, which shows that the test of this promise detects the
//! failure.
//!
//! They exist only under `--cfg veltix_planted_bugs`. Each one is off until a test on the same
//! thread plants it. In every other build [`fault!`] is the constant `false`.

/// Returns whether the named bug is planted on this thread.
#[cfg(veltix_planted_bugs)]
macro_rules! fault {
    ($bug:literal) => {
        $crate::fault::is_planted($bug)
    };
}

/// Returns whether the named bug is planted on this thread. In this build it is always `false`.
#[cfg(not(veltix_planted_bugs))]
macro_rules! fault {
    ($bug:literal) => {
        false
    };
}

#[cfg(veltix_planted_bugs)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Returns whether this bug is planted on this thread.
#[cfg(veltix_planted_bugs)]
pub fn is_planted(bug: &str) -> bool {
    PLANTED.get() == Some(bug)
}

/// Plants a bug on this thread, or removes it with `None`.
#[cfg(veltix_planted_bugs)]
pub fn plant(bug: Option<&'static str>) {
    PLANTED.set(bug);
}
