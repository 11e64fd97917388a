//! Makes tests of cases: one for each version of the package and each of its backends.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::time::Duration;

use super::env;
use super::python::Kind;
use crate::support::skipped::skip;

/// The limit for one case. The steps of a case have shorter limits, and report the missing event.
const LIMIT: Duration = Duration::from_secs(90);

/// The result of a case: nothing, or the documented error of the package.
pub(crate) trait Verdict {
    fn words(self) -> String;
}

impl Verdict for () {
    fn words(self) -> String {
        "ok".to_owned()
    }
}

/// The package has failed as documented.
pub(crate) struct AsDocumented(pub(crate) &'static str);

impl Verdict for Option<AsDocumented> {
    fn words(self) -> String {
        self.map_or_else(|| ().words(), |AsDocumented(what)| format!("as documented: {what}"))
    }
}

/// Runs a case with a Python peer, or reports why it cannot, and records the outcome.
pub(crate) fn run<V, F>(role: &str, case: &str, kind: Kind, body: impl FnOnce(Kind) -> F)
where
    V: Verdict,
    F: Future<Output = V>,
{
    let place = [kind.version, &kind.core.to_string(), role, case];
    if has_python(&[kind.version], place) {
        recorded(place, body(kind));
    }
}

/// Runs a case with a part of this package version other than a [`Kind`].
pub(crate) fn run_with<V: Verdict>(
    version: &'static str,
    role: &str,
    case: &str,
    body: impl Future<Output = V>,
) {
    let place = [version, "", role, case];
    if has_python(&[version], place) {
        recorded(place, body);
    }
}

/// Runs a case with peers of all versions.
pub(crate) fn run_with_all<V: Verdict>(role: &str, case: &str, body: impl Future<Output = V>) {
    let place = ["all at once", "", role, case];
    if has_python(&env::VERSIONS, place) {
        recorded(place, body);
    }
}

/// Runs a case without a Python peer.
pub(crate) fn run_alone<V: Verdict>(role: &str, case: &str, body: impl Future<Output = V>) {
    recorded(["no Python", "", role, case], body);
}

/// Whether these versions are there. If not, the case is recorded as skipped.
fn has_python(versions: &[&str], place: [&str; 4]) -> bool {
    let missing = versions.iter().find_map(|version| env::python(version).err());
    let Some(reason) = missing else { return true };
    assert!(!env::required(), "VELTIX_REQUIRE_INTEROP is set, but {reason}");
    skip(&format!("interop {}", place.join(" ")), &reason);
    record(place, "skipped");
    false
}

fn recorded<V: Verdict>(place: [&str; 4], body: impl Future<Output = V>) {
    let failed = Failed(place);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let verdict = runtime.block_on(async { tokio::time::timeout(LIMIT, body).await });
    runtime.shutdown_timeout(Duration::from_secs(1));
    let verdict = verdict.unwrap_or_else(|_| panic!("{place:?} did not end within {LIMIT:?}"));
    std::mem::forget(failed);
    record(place, &verdict.words());
}

/// Records that a case has panicked, unless it is forgotten.
struct Failed<'a>([&'a str; 4]);

impl Drop for Failed<'_> {
    fn drop(&mut self) {
        record(self.0, "FAILED");
    }
}

/// Adds a line to the results: version, backend, role, case, outcome. The last line of a case
/// counts.
fn record(place: [&str; 4], outcome: &str) {
    let path = env::dir().join("results.tsv");
    let line = format!("{}\t{outcome}\n", place.join("\t"));
    // One write in append mode is atomic towards the writes of other processes.
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A module of tests for each case, which is an async function of that name in the same module.
macro_rules! cases {
    ($role:literal: $($case:ident)+) => { $(
        mod $case {
            use crate::interop::python::{Core, Kind};
            use crate::interop::run::run;

            fn test(version: &'static str, core: Core) {
                run($role, stringify!($case), Kind { version, core }, super::$case);
            }

            #[test]
            fn v3_3_0_async() {
                test("3.3.0", Core::Async);
            }

            #[test]
            fn v3_3_0_threading() {
                test("3.3.0", Core::Threading);
            }

            #[test]
            fn v3_0_2_async() {
                test("3.0.2", Core::Async);
            }

            #[test]
            fn v3_0_2_threading() {
                test("3.0.2", Core::Threading);
            }

            #[test]
            fn v2_0_3_async() {
                test("2.0.3", Core::Async);
            }

            #[test]
            fn v2_0_3_threading() {
                test("2.0.3", Core::Threading);
            }
        }
    )+ };
}

pub(crate) use cases;
