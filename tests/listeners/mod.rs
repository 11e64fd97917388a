//! A server with several listeners: the state that they share, the state that each has for itself,
//! and the end of one or all of them. Load balancers in front of a listener, and health checks.

mod failed;
#[cfg(unix)]
mod haproxy;
mod health_checks;
mod names;
pub(crate) mod proxy;
mod several;
mod turns;

use std::io;

use tokio::sync::mpsc;
use veltix::transport::{Listener, MemoryConnector, MemoryListener, PeerAddr, Stream, memory};
use veltix::{Client, ClientConfig, Router};

use crate::support::PIPE;

/// A listener in memory whose accepts the test can make fail.
struct Failing {
    listener: MemoryListener,
    errors: mpsc::UnboundedReceiver<io::Error>,
    number: u64,
}

/// The other end of a [`Failing`] listener.
struct Door {
    connector: MemoryConnector,
    errors: mpsc::UnboundedSender<io::Error>,
}

/// Creates a listener with this number in its address.
fn failing(number: u64) -> (Failing, Door) {
    let (listener, connector) = memory(PIPE);
    let (fail, errors) = mpsc::unbounded_channel();
    (Failing { listener, errors, number }, Door { connector, errors: fail })
}

impl Door {
    async fn client(&self) -> Client {
        self.client_with(Router::new()).await
    }

    async fn client_with(&self, router: Router) -> Client {
        let config = ClientConfig::default();
        Client::connect_with(self.connector.clone(), config, router).await.expect("it connects")
    }

    /// Lets the next accept fail with this error.
    fn fail(&self, error: impl Into<io::Error>) {
        self.errors.send(error.into()).expect("the listener is there");
    }

    /// Lets the next accept fail for good.
    fn break_down(&self) {
        self.fail(io::Error::other("broken"));
    }

    /// Lets the next accept panic.
    fn panic(&self) {
        self.fail(io::Error::other("planned"));
    }

    /// Waits until the server has dropped the listener.
    async fn closed(&self) {
        self.errors.closed().await;
    }
}

impl Listener for Failing {
    async fn accept(&mut self) -> io::Result<Stream> {
        tokio::select! {
            biased;
            Some(error) = self.errors.recv() => {
                assert!(error.to_string() != "planned", "planned");
                Err(error)
            }
            accepted = self.listener.accept() => accepted,
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(self.number)
    }

    fn is_final(&self, error: &io::Error) -> bool {
        error.to_string() == "broken"
    }
}
