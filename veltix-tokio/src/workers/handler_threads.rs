//! [`HandlerThreads`]: the number of threads that run the handlers of single peers.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts the threads of `SocketCore::Threading` of one side. A thread that a handler blocks outlives its
/// connection.
#[derive(Debug)]
pub(crate) struct HandlerThreads(Arc<watch::Sender<usize>>);

impl Default for HandlerThreads {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl HandlerThreads {
    /// Counts a thread until the returned value is dropped.
    pub(crate) fn count(&self) -> impl Drop + Send + use<> {
        struct Counted(Arc<watch::Sender<usize>>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.send_modify(|threads| *threads -= 1);
            }
        }
        self.0.send_modify(|threads| *threads += 1);
        Counted(Arc::clone(&self.0))
    }

    /// Returns the number of threads.
    pub(crate) fn running(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until no thread is left.
    pub(crate) async fn ended(&self) {
        // `self` owns the sender, so the wait ends only with the value.
        let _ = self.0.subscribe().wait_for(|threads| *threads == 0).await;
    }
}
