//! For each of these bugs, a test that the simulation notices it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use veltix_tokio::__private::plant;

use super::run::{run, run_with};

/// The maximum number of seeds until a bug is noticed.
const SEEDS: u64 = 100;

/// Returns the first seed that notices this bug, and its report. A run that hangs counts as
/// noticed.
fn noticed(bug: &'static str) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let _ = tell.send(run_with(seed, false, || plant(Some(bug))).wrong);
        });
        match told.recv_timeout(Duration::from_secs(60)) {
            Ok(wrong) => Some((seed, wrong.into_iter().next()?)),
            Err(_) => Some((seed, "it hangs".to_owned())),
        }
    })
}

macro_rules! bugs {
    ($($bug:ident,)*) => {$(
        #[test]
        fn $bug() {
            let (seed, wrong) = noticed(stringify!($bug)).expect("no seed notices the bug");
            assert!(run(seed, false).wrong.is_empty(), "seed {seed} fails without the bug");
            eprintln!("{}: noticed after {} seeds: {wrong}", stringify!($bug), seed + 1);
        }
    )*};
}

bugs! {
    late_reply_accepted,
    closing_drops_uncounted,
    serial_reorders,
    flush_list_lost_on_panic,
    listed_before_on_connect,
    received_dropped_at_eof,
}
