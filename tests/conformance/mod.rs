//! Requirements for every transport: each case that the macro below lists runs on each of the
//! transports in [`transport`], over its real clock and its real buffers.
//!
//! A transport is one implementation of [`Transport`](transport::Transport) and one line at the end
//! of this file. Each outcome is a line of `target/conformance/results.tsv`;
//! `tests/interop/python/table.py target/conformance/results.tsv` makes a table of it.

mod bytes;
mod ends;
mod messages;
mod scene;
mod transport;

use std::fs::{self, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::path::Path;

use tokio::time::timeout;

use crate::support::PATIENCE;
use scene::Scene;
use transport::Transport;

/// Makes a test of each case on one transport.
macro_rules! conformance {
    ($name:ident: $transport:ty) => {
        conformance! { @cases $name: $transport =>
            messages { connect echo request_both_ways ping_both_ways broadcast_with_exclusion
                two_thousand_in_order three_megabytes_both_ways }
            bytes { garbage silence_in_the_handshake slow_reader half_close_and_drain
                close_writes_what_is_queued }
            ends { a_peer_is_killed the_server_is_killed server_full reconnect_after_restart
                shutdown_with_report the_accounts_agree }
        }
    };
    (@cases $name:ident: $transport:ty => $($file:ident { $($case:ident)+ })+) => {
        mod $name { $( $(
            #[tokio::test]
            async fn $case() {
                super::run::<$transport, _>(stringify!($case), super::$file::$case).await;
            }
        )+ )+ }
    };
}

/// Runs a case, and records the outcome.
async fn run<T: Transport, F: Future<Output = ()>>(case: &str, body: impl FnOnce(Scene<T>) -> F) {
    let failed = Failed(T::NAME, case);
    let scene = Scene::new(T::new().await);
    timeout(PATIENCE, body(scene)).await.expect("the case ends");
    std::mem::forget(failed);
    record(T::NAME, case, "ok");
}

/// Records that a case has panicked, unless it is forgotten.
struct Failed<'a>(&'static str, &'a str);

impl Drop for Failed<'_> {
    fn drop(&mut self) {
        record(self.0, self.1, "FAILED");
    }
}

/// Adds a line to the results, in the columns of the interop tests.
fn record(transport: &str, case: &str, outcome: &str) {
    // Cargo gives tests a directory of their own in the target directory.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("conformance");
    fs::create_dir_all(&dir).expect("the target directory can be written");
    let line = format!("{transport}\t\ttransport\t{case}\t{outcome}\n");
    // One write in append mode is atomic towards the writes of other processes.
    let file = OpenOptions::new().create(true).append(true).open(dir.join("results.tsv"));
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the results can be written");
}

conformance!(tcp: crate::conformance::transport::Tcp);
#[cfg(unix)]
conformance!(unix: crate::conformance::transport::Unix);
#[cfg(feature = "tls")]
conformance!(tls: crate::conformance::transport::Tls);
conformance!(memory: crate::conformance::transport::Memory);
