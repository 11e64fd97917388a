//! Planted bugs: each breaks one promise, so that the promise's test can be shown to notice.
//!
//! They exist only under `--cfg veltix_planted_bugs`, and each is off until a test on this very
//! thread plants it. In every other build [`planted!`] is the constant `false`.

/// Whether the named bug is planted on this thread.
#[cfg(veltix_planted_bugs)]
macro_rules! planted {
    ($bug:literal) => {
        $crate::planted::is_planted($bug)
    };
}

/// Whether the named bug is planted on this thread: never, in this build.
#[cfg(not(veltix_planted_bugs))]
macro_rules! planted {
    ($bug:literal) => {
        false
    };
}

pub(crate) use planted;

#[cfg(veltix_planted_bugs)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

#[cfg(veltix_planted_bugs)]
pub(crate) fn is_planted(bug: &str) -> bool {
    PLANTED.get() == Some(bug)
}

/// Plants a bug on this thread, or none.
#[cfg(veltix_planted_bugs)]
pub fn plant(bug: Option<&'static str>) {
    PLANTED.set(bug);
}
