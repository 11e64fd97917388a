//! Health: whether the runtime of the application runs, and whether the server takes peers.

use tokio::runtime::Handle;
use tokio::time::timeout;
use veltix_core::limits::LIVE_WITHIN;
use veltix_tokio::Hub;

/// Returns whether the runtime of the application runs an empty task in time.
pub(crate) async fn is_live(application: &Handle) -> bool {
    let task = application.spawn(async {});
    matches!(timeout(LIVE_WITHIN, task).await, Ok(Ok(())))
}

/// Returns the reasons for which the server takes no peers. It is ready without one.
pub(crate) fn unready(hub: &Hub) -> Vec<&'static str> {
    let draining = hub.is_draining();
    let reasons = [
        (!hub.is_running() && !draining, "not_running"),
        (draining, "draining"),
        (hub.is_full(), "full"),
    ];
    reasons.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect()
}
