//! Where a connection's task runs: on the runtime, or on a thread of its own.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::endpoint::SocketCore;

/// A future that runs `task` where the core says and ends with it. Dropped, it ends the task: at
/// once on the runtime, at its next await on a thread.
pub(crate) async fn on_core(core: SocketCore, task: impl Future<Output = ()> + Send + 'static) {
    match core {
        SocketCore::Async => task.await,
        SocketCore::Threading => match on_thread(task) {
            Ok(thread) => thread.joined().await,
            Err(error) => {
                tracing::error!(%error, "no thread for the connection could be started");
            }
        },
    }
}

struct Thread {
    /// Dropped to end the task.
    _keep: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
    handle: thread::JoinHandle<()>,
}

fn on_thread(task: impl Future<Output = ()> + Send + 'static) -> io::Result<Thread> {
    let runtime = Handle::current();
    let (keep, dropped) = oneshot::channel::<()>();
    let (tell, done) = oneshot::channel();
    let handle = thread::Builder::new().name("veltix-connection".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
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
