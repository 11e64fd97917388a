//! [`TestServer`]: an application's router, served in memory.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use veltix_core::all;

use super::TestClient;
use super::client::Profile;
use super::clock;
use super::failure::Log;
use super::link::{Link, Switchboard};
use crate::client::{ClientConfig, Reconnect};
use crate::close::ShutdownReport;
use crate::config::SocketCore;
use crate::error::ConnectError;
use crate::hub::Hub;
use crate::peer::Peer;
use crate::router::Router;
use crate::server::{Server, ServerConfig};

/// After which a client of a test that lost its connection tries again.
const RECONNECT: Duration = Duration::from_secs(1);

/// A server in memory, running, for the test of an application. See the [module](super).
///
/// Dropped, it aborts every connection; [`shutdown`](TestServer::shutdown) drains them.
#[must_use = "a server that is dropped serves nobody"]
pub struct TestServer {
    hub: Hub,
    switchboard: Switchboard,
    log: Log,
    running: JoinHandle<()>,
}

impl TestServer {
    /// Serves a router with the default config, on a clock that is paused from now on.
    ///
    /// # Panics
    /// Unless the runtime has one thread: that of `#[tokio::test]` has.
    #[track_caller]
    pub fn start(router: Router) -> impl Future<Output = Self> {
        Self::start_with(ServerConfig::default(), router)
    }

    /// Serves a router with this config, whose address is not used, nor is its [`SocketCore`]: the
    /// paused clock would not see the threads.
    ///
    /// # Panics
    /// As [`start`](TestServer::start), and when the config cannot work.
    #[track_caller]
    pub fn start_with(config: ServerConfig, router: Router) -> impl Future<Output = Self> {
        clock::begin();
        let (switchboard, listener) = Switchboard::new();
        let config = config.socket_core(SocketCore::Async);
        let server = match Server::with_listener(listener, config, router) {
            Ok(server) => server,
            Err(error) => panic!("the test server's config: {error}"),
        };
        async move {
            clock::align().await;
            let hub = server.hub();
            let log = Log::new(hub.events());
            let running = tokio::spawn(async move {
                // It has no error to return.
                let _ = server.run().await;
            });
            Self { hub, switchboard, log, running }
        }
    }

    /// A client of this name, without routes: what it receives waits for its expectations. When
    /// its connection is lost, it tries again each second. It is connected, and listed by the
    /// server, unless `on_connect` takes its time there.
    ///
    /// # Panics
    /// When it cannot connect.
    #[track_caller]
    pub fn client(&self, name: &str) -> impl Future<Output = TestClient> {
        let config = ClientConfig::default().reconnect(Reconnect::fixed(RECONNECT));
        self.client_with(name, config, Router::new())
    }

    /// A client of this name, with a config, whose address and [`SocketCore`] are not used, and
    /// routes of its own. What a route takes is the route's, and what none takes waits for the
    /// expectations; with a fallback, that is nothing.
    ///
    /// # Panics
    /// When it cannot connect.
    #[track_caller]
    pub fn client_with(
        &self,
        name: &str,
        config: ClientConfig,
        router: Router,
    ) -> impl Future<Output = TestClient> {
        let at = Location::caller();
        async move {
            match self.connect(name, config, router).await {
                Ok(client) => client,
                Err(error) => panic!("{at}: {name} could not connect: {error}"),
            }
        }
    }

    /// As [`client_with`](TestServer::client_with), for a client that may not get in.
    ///
    /// # Errors
    /// As [`Client::connect_with`](crate::Client::connect_with).
    ///
    /// # Cancel safety
    /// Dropped, the client is not connected.
    pub async fn connect(
        &self,
        name: &str,
        config: ClientConfig,
        router: Router,
    ) -> Result<TestClient, ConnectError> {
        let profile = Profile { name: name.to_owned(), link: self.link(), log: self.log.clone() };
        TestClient::connect(profile, config.socket_core(SocketCore::Async), router).await
    }

    /// A new link to this server, for a [`Client`](crate::Client) that the application connects by
    /// itself.
    #[must_use]
    pub fn link(&self) -> Link {
        self.switchboard.link()
    }

    /// The server's handle.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// A client as the server sees it: for a look at its tags and counters, or to close it.
    ///
    /// # Panics
    /// When the server does not list it.
    #[must_use]
    #[track_caller]
    pub fn peer(&self, client: &TestClient) -> Peer {
        let addr = client.link().addr();
        let listed = self.hub.list(all()).into_iter().flatten();
        let found = listed.into_iter().find(|peer| *peer.addr() == addr);
        match found {
            Some(peer) => peer,
            None => panic!("{}", client.failure(&"is not listed by the server", None)),
        }
    }

    /// Waits until everybody else waits: for a message, an answer, or a later time. The clock
    /// moves on by a millisecond.
    pub async fn settle(&self) {
        clock::until_idle().await;
    }

    /// Lets so much time pass. What is due meanwhile happens in its order and at its time, and has
    /// been dealt with when this returns.
    pub async fn advance(&self, time: Duration) {
        sleep(time).await;
        clock::until_idle().await;
    }

    /// Shuts the server down: see [`Hub::shutdown`].
    ///
    /// # Cancel safety
    /// Dropped, every connection is aborted.
    pub async fn shutdown(self) -> ShutdownReport {
        self.hub.shutdown().await
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer").field("hub", &self.hub).finish_non_exhaustive()
    }
}
