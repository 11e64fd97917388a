//! For each of these bugs, a test that the simulation notices it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use veltix_tokio::__private::plant;

use super::record::Verdict;
use super::run::run_with;

/// The maximum number of seeds until a bug is noticed.
const SEEDS: u64 = 100;

/// Runs a seed with a bug, or with none.
pub(super) type Run = fn(u64, Option<&'static str>) -> Verdict;

/// Returns the first seed that notices this bug, and its report. A run that hangs counts as
/// noticed.
pub(super) fn noticed(run: Run, bug: &'static str) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let _ = tell.send(run(seed, Some(bug)).wrong);
        });
        match told.recv_timeout(Duration::from_secs(60)) {
            Ok(wrong) => Some((seed, wrong.into_iter().next()?)),
            Err(_) => Some((seed, "it hangs".to_owned())),
        }
    })
}

/// Lists the bugs that the seeds of a simulation notice.
macro_rules! bugs {
    ($run:expr => $($bug:ident,)*) => {$(
        #[test]
        fn $bug() {
            let (run, name): ($crate::simulation::planted::Run, _) = ($run, stringify!($bug));
            let noticed = $crate::simulation::planted::noticed(run, name);
            let (seed, wrong) = noticed.expect("no seed notices the bug");
            assert!(run(seed, None).wrong.is_empty(), "seed {seed} fails without the bug");
            eprintln!("{name}: noticed after {} seeds: {wrong}", seed + 1);
        }
    )*};
}
#[cfg(feature = "cluster")]
pub(super) use bugs;

bugs! {
    |seed, bug| run_with(seed, false, || plant(bug)) =>
    late_reply_accepted,
    closing_drops_uncounted,
    serial_reorders,
    flush_list_lost_on_panic,
    listed_before_on_connect,
    received_dropped_at_eof,
}
