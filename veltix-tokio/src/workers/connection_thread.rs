//! A connection's task on a separate thread, for `SocketCore::Threading`.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::log::{RateLimitedLog, log_limited};

/// The log of connections without a thread, for all sides of the process.
static NO_THREAD: RateLimitedLog = RateLimitedLog::new();

/// The log of threads that panicked, for all sides of the process.
static PANICKED: RateLimitedLog = RateLimitedLog::new();

/// Runs a task on a separate thread, and returns when the task has ended. Dropping the future ends
/// the task at its next await.
pub(crate) async fn on_thread(task: impl Future<Output = ()> + Send + 'static) {
    match start(task) {
        Ok(thread) => thread.joined().await,
        Err(error) => log_limited!(
            error,
            NO_THREAD.decide(Instant::now()),
            %error,
            "no thread for a connection could be started, so it is closed: check the limits of threads"
        ),
    }
}

struct Thread {
    /// Dropping the sender ends the task.
    _keep: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
    handle: thread::JoinHandle<()>,
}

fn start(task: impl Future<Output = ()> + Send + 'static) -> io::Result<Thread> {
    let runtime = Handle::current();
    let (keep, dropped) = oneshot::channel::<()>();
    let (ended, done) = oneshot::channel();
    let handle = thread::Builder::new().name("veltix-connection".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                // An abort has priority over the task.
                biased;
                _ = dropped => {}
                () = task => {}
            }
        });
        // The joining future may have been dropped.
        let _ = ended.send(());
    })?;
    Ok(Thread { _keep: keep, done, handle })
}

impl Thread {
    async fn joined(self) {
        // An error means that the thread panicked before it sent the notification, so it has ended
        // as well.
        let _ = self.done.await;
        // Sending the notification was the thread's last instruction, so the join does not wait.
        if self.handle.join().is_err() {
            log_limited!(
                error,
                PANICKED.decide(Instant::now()),
                "the thread of a connection panicked: please report this bug"
            );
        }
    }
}
