//! Faults of the network and of the server.

use fastrand::Rng;

use super::app::App;
use super::host::Host;
use super::network::Network;

/// Longer than every heartbeat timeout.
const FOR_EVER: u64 = 60_000;

/// Causes the faults of a run.
pub(super) async fn befall(app: App, network: Network, host: Host, faults: usize, mut rng: Rng) {
    for _ in 0..faults {
        app.record.pause(rng.u64(..500)).await;
        // One of the newest connections: the others have ended.
        let lines = network.lines();
        let newest = lines.len().saturating_sub(5);
        let Some(line) = lines.values().nth(newest + rng.usize(..lines.len().clamp(1, 5))) else {
            continue;
        };
        match rng.u8(..16) {
            0..3 => line.reset(),
            3..5 => line.there.cut(),
            5..7 => line.back.cut(),
            7 => {
                line.there.cut();
                line.back.cut();
            }
            8..10 => line.stall(rng.u64(..2_000)),
            10 => line.there.stall(rng.u64(..2_000)),
            11 => line.back.stall(rng.u64(..2_000)),
            12 => line.back.stall(FOR_EVER),
            13 => line.stall(FOR_EVER),
            14 => {
                host.drain().await;
                app.record.pause(rng.u64(..300)).await;
                host.start();
            }
            _ => {
                host.abort().await;
                app.record.pause(rng.u64(..300)).await;
                host.start();
            }
        }
    }
}
