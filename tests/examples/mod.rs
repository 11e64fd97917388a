//! The examples: their applications in the test kit, and the programs as they are run.

use std::future::Future;
use std::time::Duration;

mod auth;
mod chat;
mod dashboard;
mod file_transfer;
mod game;
mod programs;
mod rooms;

/// Waits for something that must happen within a minute of the test's time.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it happens")
}
