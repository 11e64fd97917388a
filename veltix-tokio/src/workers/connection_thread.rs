//! A connection's task on a thread of its own, for `SocketCore::Threading`.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Runs a task on a thread of its own, and ends with it. Dropped, it ends the task at its next
/// await.
pub(crate) async fn on_thread(task: impl Future<Output = ()> + Send + 'static) {
    match start(task) {
        Ok(thread) => thread.joined().await,
        Err(error) => tracing::error!(%error, "no thread for the connection could be started"),
    }
}

struct Thread {
    /// Dropped to end the task.
    _keep: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
    handle: thread::JoinHandle<()>,
}

fn start(task: impl Future<Output = ()> + Send + 'static) -> io::Result<Thread> {
    let runtime = Handle::current();
    let (keep, dropped) = oneshot::channel::<()>();
    let (tell, done) = oneshot::channel();
    let handle = thread::Builder::new().name("veltix-connection".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                // An abort comes first.
                biased;
                _ = dropped => {}
                () = task => {}
            }
        });
        // Whoever joined may have been dropped.
        let _ = tell.send(());
    })?;
    Ok(Thread { _keep: keep, done, handle })
}

impl Thread {
    async fn joined(self) {
        // An error means that the thread panicked before it could tell, which is over as well.
        let _ = self.done.await;
        // Its last instruction was to tell us, so this does not wait.
        if self.handle.join().is_err() {
            tracing::error!("the thread of a connection panicked");
        }
    }
}
