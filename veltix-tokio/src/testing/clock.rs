//! The paused clock of a test.

use std::any::Any;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, advance, sleep};

use crate::workers::clock_hold;

/// The seed of the random numbers of a test.
const SEED: u64 = 0x7665_6c74_6978;

/// The resolution of Tokio's timers.
const TICK: Duration = Duration::from_millis(1);

/// Pauses the clock, unless it is paused, and seeds the random numbers for the server of this number in
/// the test. [`align`] completes the start.
#[track_caller]
pub(super) fn begin(server: u64) {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    assert!(
        matches!(flavor, Ok(RuntimeFlavor::CurrentThread)),
        "the test kit pauses Tokio's clock, which requires a runtime with one thread: \
         write `#[tokio::test]` above the test, without a flavor"
    );
    if !is_paused() {
        tokio::time::pause();
    }
    fastrand::seed(SEED.wrapping_add(server));
    clock_hold::install(hold);
}

/// Returns whether the clock is paused. Tokio pauses a clock only once and does not report whether
/// it has: `start_paused` may have paused it.
fn is_paused() -> bool {
    let before = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "the real clock, to see whether Tokio's follows")]
    let real = std::time::Instant::now;
    let start = real();
    while real() == start {
        std::hint::spin_loop();
    }
    Instant::now() == before
}

/// Moves the clock to a tick of the timer, which has a resolution of a millisecond: from then on
/// each wait takes exactly its duration. A running clock that is paused stands at a random point
/// between two ticks, and waits are rounded up.
pub(super) async fn align() {
    /// Returns the duration of a wait until its tick.
    async fn wait(nanos: u64) -> Duration {
        let start = Instant::now();
        sleep(Duration::from_nanos(nanos)).await;
        start.elapsed()
    }

    // A time that is too short for the tick after the next, and a time that is long enough.
    let (mut short, mut long) = (1, TICK.as_nanos() as u64);
    if wait(long).await == TICK {
        return;
    }
    while long - short > 1 {
        let middle = short.midpoint(long);
        if wait(middle).await == TICK {
            short = middle;
        } else {
            long = middle;
        }
    }
    advance(Duration::from_nanos(short)).await;
}

/// Waits until every other task waits: a paused clock moves by itself only then.
pub(super) async fn until_idle() {
    sleep(TICK).await;
}

/// Holds the clock of a test until the returned value is dropped.
fn hold() -> Box<dyn Any + Send> {
    // Tokio's clock waits for Tokio's own blocking threads, so one of these waits for the job.
    let (hold, released) = std::sync::mpsc::channel::<()>();
    spawn_blocking(move || {
        let _ = released.recv();
    });
    Box::new(hold)
}
